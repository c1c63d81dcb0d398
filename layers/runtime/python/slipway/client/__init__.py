"""A client of the API for Python programs, of the standard library alone (``signature`` apart, which needs botocore).

    with Client("https://….execute-api.eu-central-1.amazonaws.com/prod", model="tickets", api_key="…") as client:
        client.predict("The printer is on fire").label
        for prediction in client.predict_many(texts): ...  # any number, in order, several requests at once
        client.wait(client.upload("tickets.csv")).results  # a file, scored row by row

Prediction changes nothing, so whatever may pass by itself is tried again: lost connections, 429, 502, 503 and 504,
with growing random pauses, up to a deadline (``Patience``). What is left is a ``ClientError`` that names the remedy and
never holds a text or a key; ``slipway.client.errors`` draws the tree. Proxies and redirects are not followed.
"""

from slipway.client.api import Client, Parameters
from slipway.client.credentials import Credential, bearer, signature
from slipway.client.errors import (
    BadAnswer,
    ClientError,
    NotSent,
    RequestRefused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from slipway.client.patience import Patience
from slipway.client.results import BatchState, Explanation, ModelVersion, Prediction, Word

__all__ = [
    "BadAnswer",
    "BatchState",
    "Client",
    "ClientError",
    "Credential",
    "Explanation",
    "ModelVersion",
    "NotSent",
    "Parameters",
    "Patience",
    "Prediction",
    "RequestRefused",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Word",
    "bearer",
    "signature",
]
