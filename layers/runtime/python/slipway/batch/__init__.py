"""Files of texts, scored row by row: sniffed, cut into shards, scored, joined. The same on Lambda and on a laptop.

    formats.py     what a file is: format, compression, encoding, delimiter, columns
    boundaries.py  where its records end, found in chunks of bytes
    rows.py        a shard's bytes to rows: a text, or the reason why there is none
    rendering.py   rows and answers to bytes in the input's format
    parquet.py     the same four for files that have row groups
    job.py         what is to be done, under which names
    planning.py    one pass over the file: shards
    pieces.py      what is done of a shard, and what marks it as done
    scoring.py     one shard to its pieces
    asking.py      one shard to a question for an endpoint, and its answer to a piece
    finishing.py   pieces to results, and the manifest, which is written last
    state.py       how far a job is
    local.py       all of it on this machine

Files are read through ``sources``; parts and results are kept in ``places``. ``costs`` is what a job costs.
"""
