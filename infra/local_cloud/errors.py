"""The one exception of the local cloud."""


class LocalCloudError(Exception):
    """What keeps the local cloud from working, and the remedy, in one line."""
