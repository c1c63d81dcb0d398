"""Side by side with peers: ``python -m benchmarks``. Prints tables and asserts no time."""
