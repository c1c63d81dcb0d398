"""Who answers the same texts: each in a process of its own, which times itself and is driven over a pipe.

    loop.py      the child's end of the pipe, standard library only: it runs in any virtual environment
    worker.py    the parent's end
    roster.py    the rows: ours and the peers
    venvs.py     virtual environments of the peers that cannot live in ours
    the others   one child each

Every answer begins with a text and ends with probabilities.
"""
