"""Whether the API's texts are still those that the model was measured on (docs/drift.md); a zip with the runtime layer.

handler.py    every hour: log lines of the API → counts, compared with the live version's baseline → store, metrics
"""
