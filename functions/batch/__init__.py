"""Batch scoring: a file in the inbox starts a workflow of these functions; what they do is in ``slipway.batch``.

start.py    an upload's event → an execution, named so that a duplicate starts nothing (a zip: it needs no model)
plan.py     the file → shards
score.py    a shard → pieces of results
finish.py   pieces → results and manifest
failed.py   a failed execution → a manifest that says why
"""
