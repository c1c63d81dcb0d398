"""What was cut short is refused, whatever it is packed in; what is whole is read whole, in bounded memory."""

import gzip
import io
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from slipway.batch import streams
from slipway.batch.formats import Format
from slipway.batch.streams import utf8_chunks
from slipway.errors import BatchError
from tests.fuzz.files import Content, Held

DATA = b"".join(b'{"text": "good film %d"}\n' % number for number in range(20_000))
ZSTD = Format(kind="jsonl", compression="zstd")
GZIP = Format(kind="jsonl", compression="gzip")
SKIPPABLE = b"\x50\x2a\x4d\x18\x05\0\0\0abcde"  # a frame that says nothing, as pzstd writes them


def read(found: Format, content: bytes) -> bytes:
    return b"".join(utf8_chunks("x.jsonl", found, Content(Held(content)), start=0))


def streamed(data: bytes) -> bytes:
    """A frame that does not say its size, with a checksum."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return bytes(packer.compress(data) + packer.flush())


@pytest.mark.parametrize(("found", "pack"), [(ZSTD, zstandard.compress), (ZSTD, streamed), (GZIP, gzip.compress)])
@pytest.mark.parametrize("left", [0.1, 0.5, 0.9, -5, -1])
def test_what_was_cut_short_is_refused(found: Format, pack: Callable[[bytes], bytes], left: float) -> None:
    whole = pack(DATA)
    short = whole[: int(left) or int(left * len(whole))]
    with pytest.raises(BatchError, match=f"damaged {found.compression}: .*ended before") as refused:
        read(found, short)
    assert "cut short" in str(refused.value)


@pytest.mark.parametrize("tail", [SKIPPABLE[:-2], b"\x28\xb5", zstandard.compress(DATA)[:9]])
def test_a_last_frame_that_was_cut_short_is_refused(tail: bytes) -> None:
    with pytest.raises(BatchError, match=r"damaged zstd: .*ended before"):
        read(ZSTD, zstandard.compress(DATA) + tail)


def test_what_follows_the_last_frame_and_is_none_is_refused() -> None:
    with pytest.raises(BatchError, match="damaged zstd"):
        read(ZSTD, zstandard.compress(DATA) + b"something else")


@pytest.mark.parametrize("step", [7, 1_000, 100_000])
def test_frames_behind_each_other_are_read_whole(step: int) -> None:
    frames = [zstandard.compress(DATA[at : at + step]) for at in range(0, 200_000, step)]
    for between in (b"", SKIPPABLE, zstandard.compress(b"")):
        assert read(ZSTD, between.join(frames) + between) == DATA[: len(frames) * step]


def test_chunks_are_of_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PART", 5_000)
    sizes = [len(chunk) for chunk in utf8_chunks("x", ZSTD, Content(Held(zstandard.compress(DATA))), start=0)]
    assert set(sizes[:-1]) == {5_000}
    assert sum(sizes) == len(DATA)


def test_a_small_frame_that_unfolds_to_hundreds_of_megabytes_is_read_in_bounded_memory() -> None:
    made = io.BytesIO()
    with zstandard.ZstdCompressor(level=3).stream_writer(made, closefd=False) as writer:
        for _ in range(300):
            writer.write(b"a" * (1 << 20))
    size = 0
    tracemalloc.start()
    for chunk in utf8_chunks("x", ZSTD, Content(Held(made.getvalue())), start=0):
        size += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == 300 << 20
    assert peak < 100 << 20


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_utf_16_with_half_a_character_at_its_end_is_refused(batch: Any, codec: str, pack: Any) -> None:
    content = "\ufefftext\ngood film\nbad film".encode(codec)
    name = "x.csv.gz" if pack is gzip.compress else "x.csv"
    assert batch(name, pack(content)).all()["scored"] == 2
    with pytest.raises(BatchError, match=f"is not {codec} throughout: truncated data"):
        batch(name, pack(content + b"x")).plan()


def test_utf_16_with_half_a_pair_at_its_end_costs_that_row(batch: Any) -> None:
    run = batch("x.txt", "\ufeffgood film\nbad film".encode("utf-16-le") + b"\x3d\xd8")
    assert run.all()["rows"] == 2
    assert [error["row"] for error in run.errors()] == [2]
    assert "not UTF-8" in run.errors()[0]["reason"]
