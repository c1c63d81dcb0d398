"""Batch scoring: a file in the inbox starts a workflow of these functions; what they do is in ``slipway.batch``.

start.py    an upload's event → an execution, named so that a duplicate starts nothing (a zip: it needs no model)
plan.py     the file → shards
score.py    a shard → pieces of results
ask.py      a shard of a large job → a question for the asynchronous endpoint with a GPU
collect.py  its answer → pieces of results; answers.py says whose it is
finish.py   pieces → results and manifest
failed.py   a failed execution → a manifest that says why
queued.py   events come in messages of queues: who takes them, and which come again
"""
