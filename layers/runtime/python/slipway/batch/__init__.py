"""Files of texts, scored row by row: sniffed, cut into shards, scored, joined. The same on Lambda, a laptop and Spark.

formats.py     what a file is: format, compression, encoding, delimiter, columns
boundaries.py  where its records end, found in chunks of bytes
rows.py        a shard's bytes to rows: a text, or the reason why there is none
rendering.py   rows and answers to bytes in the input's format
job.py         what is to be done, under which names
planning.py    one pass over the file: shards
scoring.py     one shard to its pieces; the predictor's only user here
finishing.py   pieces to results, and the manifest, which is written last
"""
