"""The endpoint's container: one model behind an ASGI server with dynamic batching, on a GPU where there is one.

__main__.py       the argument ``serve``
server.py         the process: sockets, loading, SIGTERM
app.py            the HTTP surface: SageMaker's, V2's, Prometheus'
grpc_service.py   V2 over gRPC; grpc_tensors.py turns its messages into those of V2's binary HTTP
invocations.py    what a body asks, in whatever dialect, and how its answer is written
service.py        the one way from a parsed request to its answer
batching.py       the queue: which texts are computed together, and which leave it; deadlines.py: when they do
engine.py         a model directory → a predictor on its device
metrics.py        what /metrics shows; logs.py: lines of JSON
errors.py         what only this server refuses
"""
