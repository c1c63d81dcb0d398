"""int8 on the classes of CPU that production may have."""
