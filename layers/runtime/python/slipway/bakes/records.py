"""Counts in the model bucket: ``bakes/<model>/<time of the pointer>-<live version>/<process>.json``.

A record holds all that its process has counted under one pointer, and is written again and again: one that is lost is
made up for by the next. With another pointer, such as that of a bake's next step, counting begins anew. Not under
``models/``: a function that answers requests can write there nothing that anybody would serve.
"""

from typing import Any

from slipway.bakes.tally import Counts, add
from slipway.releases import Live
from slipway.versions import open_objects


class Records:
    """The records of one model in one bucket. Every method raises StoreError where S3 refuses."""

    def __init__(self, bucket: str, model: str, client: Any = None, *, serving: bool = False) -> None:
        """``serving`` as in ``Store``."""
        self._objects = open_objects(bucket, f"bakes/{model}/", client, serving=serving)

    def write(self, pointer: Live, process: str, record: bytes) -> None:
        """Replace what ``process`` wrote under this pointer before; ``record`` is ``Counts.to_json()``."""
        self._objects.write(f"{_folder(pointer)}{process}.json", [record])

    def total(self, pointer: Live) -> Counts:
        """What all processes have counted under this pointer."""
        found = map(self._objects.read, self._objects.names(_folder(pointer)))
        records = (Counts.from_json(record[0]) for record in found if record)
        return add(counts for counts in records if counts)


def _folder(pointer: Live) -> str:
    return pointer.ledger_name().removesuffix(".json") + "/"
