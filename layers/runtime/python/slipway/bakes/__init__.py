"""Bakes: a canary that grows by steps while it stays inside bounds, and is withdrawn by itself where it does not.

    tally.py      what processes count of a canary and of the live version beside it, and how counts add up
    records.py    where they leave the counts in the model bucket
    bounds.py     what a candidate may do worse than the live version
    verdict.py    counts and bounds → good, bad, or not known yet, in words. No I/O
    chance.py     how likely so many of so many are
    plan.py       one bake: its steps, and where it is
    turn.py       one turn of a bake: look, judge, and move the live pointer
    starting.py   what the command line starts: the workflow of a deployment

The workflow is infra/bake.py, its function functions/release/bake.py; docs/releases.md is for who uses it.
"""
