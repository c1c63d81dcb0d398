"""The verbs of ``slipway``."""
