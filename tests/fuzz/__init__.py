"""Every parser of what others send, under random input: ``python -m tests.fuzz --seconds 600``.

A target takes bytes and calls one parser as a function does. What the parser refuses in its own words is no finding;
any other exception is, and so is an answer that breaks what the parser promises.
"""
