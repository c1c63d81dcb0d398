"""Codecs: what clients of other servers send and read ↔ ``slipway.requests`` and ``slipway.answers``."""
