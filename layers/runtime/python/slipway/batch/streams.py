"""The file's bytes as UTF-8, out of compression and other encodings, in chunks."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator

from slipway.batch.formats import Format
from slipway.batch.sources import PART, Source, as_file, chunks
from slipway.errors import BatchError

_SLICE = 1 << 10  # bytes that zstd unfolds at once: the four of its smallest block may become 128 KB


def utf8_chunks(name: str, found: Format, source: Source, *, start: int) -> Iterator[bytes]:
    """The file's text in chunks of UTF-8, without compression and byte order mark. Raises BatchError if damaged.

    ``start`` is a byte of the file behind its byte order mark; of one that is cut anew only the beginning can be.
    Damaged is also what was cut short, in the middle of a frame or of a character of UTF-16.
    """
    if not found.is_cut_anew:
        yield from chunks(source, start)
        return
    decoder = codecs.getincrementaldecoder(found.encoding)("surrogatepass")
    skip = found.bom
    for chunk in _plain(name, found, source) if found.compression else chunks(source):
        content, skip = chunk[skip:], max(0, skip - len(chunk))
        yield content if found.encoding == "utf-8" else _recoded(name, found, decoder, content)
    if found.encoding != "utf-8":
        yield _recoded(name, found, decoder, b"", final=True)


def _recoded(
    name: str, found: Format, decoder: codecs.IncrementalDecoder, content: bytes, *, final: bool = False
) -> bytes:
    try:
        return decoder.decode(content, final).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise BatchError(
            f"{name} is not {found.encoding} throughout: {error.reason}.",
            remedy="The upload may have been cut short: save the file in UTF-8 and upload it again.",
        ) from error


def _plain(name: str, found: Format, source: Source) -> Iterator[bytes]:
    unpack = _gzip if found.compression == "gzip" else _zstd
    try:
        yield from unpack(as_file(source))
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(name, found, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "zstandard":
            raise
        raise _damaged(name, found, error) from error


def _gzip(file: io.BufferedReader) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as stream:
        while chunk := stream.read(PART):
            yield chunk


def _zstd(file: io.BufferedReader) -> Iterator[bytes]:
    """In parts of one size, as gzip's are."""
    ready = bytearray()
    for piece in _frames(file):
        ready += piece
        while len(ready) >= PART:
            yield bytes(ready[:PART])
            del ready[:PART]
    yield bytes(ready)


def _frames(file: io.BufferedReader) -> Iterator[bytes]:
    """What frames unfold to, one by one: zstandard's own reader of files takes one that was cut short for whole."""
    import zstandard

    unpacker = zstandard.ZstdDecompressor()
    frame = None
    while rest := file.read(_SLICE):
        while rest:
            frame = frame or unpacker.decompressobj()
            yield frame.decompress(rest)
            rest, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame:
        raise EOFError("Compressed file ended before the end of its last frame")


def _damaged(name: str, found: Format, error: Exception) -> BatchError:
    return BatchError(
        f"{name} is damaged {found.compression}: {error or type(error).__name__}.",
        remedy="The upload may have been cut short: compress and upload it again.",
    )
