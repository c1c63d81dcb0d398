"""AWS on this machine, for the demo, the tests and development: ministack, and the ``cdk deploy`` that goes to AWS.

    errors.py   LocalCloudError, whatever keeps the local cloud from working, in one line
    tools.py    what must be installed: ministack in a virtual environment of its own, Node and the CDK
    ports.py    free, taken by whom, answering
    server.py   the one process: started, found again, stopped
    cloud.py    LocalCloud: start, deploy, stop; what a deployment gave, in outputs.json
    endpoint.py, async_endpoint.py
                what stands for the GPU endpoint and for its questions in files, which ministack has not

``python -m infra.local_cloud --help`` is the same on the command line. Nothing here listens beyond 127.0.0.1, talks to
AWS or reads AWS credentials.
"""

from infra.local_cloud.cloud import LocalCloud, Outputs
from infra.local_cloud.errors import LocalCloudError

__all__ = ["LocalCloud", "LocalCloudError", "Outputs"]
