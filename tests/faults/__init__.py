"""What a broken S3 and a broken GPU endpoint do to callers: ``python -m tests.faults > docs/faults.md``.

proxy.py      HTTP on loopback in front of S3 or an endpoint, which breaks what it is told to break
stage.py      the services that are broken: a store with two versions, the predict function, the batch functions, a GPU
serving.py freezing.py gpu.py batches.py releases.py   run the real code under a fault and count what is lost
matrix.py     the faults
"""
