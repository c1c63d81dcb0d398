"""The file's bytes as UTF-8, out of compression and other encodings, in chunks."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any

from slipway.batch.formats import Format
from slipway.batch.sources import PART, Source, as_file, chunks
from slipway.errors import BatchError


def utf8_chunks(name: str, found: Format, source: Source, *, start: int) -> Iterator[bytes]:
    """The file's text in chunks of UTF-8, without compression and byte order mark. Raises BatchError if damaged.

    ``start`` is a byte of the file behind its byte order mark; of one that is cut anew only the beginning can be.
    """
    if not found.is_cut_anew:
        yield from chunks(source, start)
        return
    decoder = codecs.getincrementaldecoder(found.encoding)("surrogatepass")
    skip = found.bom
    for chunk in _plain(name, found, source) if found.compression else chunks(source):
        content, skip = chunk[skip:], max(0, skip - len(chunk))
        try:
            yield content if found.encoding == "utf-8" else decoder.decode(content).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise BatchError(f"{name} is not {found.encoding} throughout: {error.reason}.") from error


def _plain(name: str, found: Format, source: Source) -> Iterator[bytes]:
    try:
        with _decompressed(found, as_file(source)) as stream:
            while chunk := stream.read(PART):
                yield chunk
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(name, found, error) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "zstandard":
            raise
        raise _damaged(name, found, error) from error


def _decompressed(found: Format, file: io.BufferedReader) -> Any:
    if found.compression == "gzip":
        return gzip.GzipFile(fileobj=file)
    import zstandard

    return zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)


def _damaged(name: str, found: Format, error: Exception) -> BatchError:
    return BatchError(
        f"{name} is damaged {found.compression}: {error or type(error).__name__}.",
        remedy="The upload may have been cut short: compress and upload it again.",
    )
