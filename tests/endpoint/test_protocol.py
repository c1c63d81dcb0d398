"""The protocol file against the code made of it, and against what Triton's client has compiled."""

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import descriptor_pb2
from tritonclient.grpc import service_pb2

ENDPOINT = Path(__file__).parents[2] / "functions/endpoint"
Field = tuple[str, int, int, int]


def protoc(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{ENDPOINT}", *arguments, "inference.proto"], check=True
    )


def test_the_code_is_what_the_file_makes(tmp_path: Path) -> None:
    protoc(f"--python_out={tmp_path}", f"--pyi_out={tmp_path}")
    for name in ("inference_pb2.py", "inference_pb2.pyi"):
        assert (ENDPOINT / name).read_text() == (tmp_path / name).read_text(), "make it anew: inference.proto says how"


def fields(messages: Iterable[descriptor_pb2.DescriptorProto], prefix: str = "") -> dict[str, Field]:
    found: dict[str, Field] = {}
    for message in messages:
        found |= {f"{prefix}{message.name}.{f.name}": (f.name, f.number, f.type, f.label) for f in message.field}
        found |= fields(message.nested_type, f"{prefix}{message.name}.")
    return found


def test_every_field_is_where_other_clients_have_it(tmp_path: Path) -> None:
    protoc(f"--descriptor_set_out={tmp_path / 'set'}")
    (ours,) = descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file
    theirs = descriptor_pb2.FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(theirs)
    known, mine = fields(theirs.message_type), fields(ours.message_type)
    assert len(mine) > 50
    assert {name: field for name, field in mine.items() if known.get(name) != field} == {}
    assert ours.package == theirs.package == "inference"
    calls = {(m.name, m.input_type, m.output_type) for service in theirs.service for m in service.method}
    assert {(m.name, m.input_type, m.output_type) for service in ours.service for m in service.method} <= calls
