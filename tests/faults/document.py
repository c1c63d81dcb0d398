"""docs/faults.md: what is written by hand, and the matrix."""

from collections.abc import Iterable

from tests.faults.runner import Found

COUNTED = "A request is lost if it gets neither the right answer nor a 429 or 503 that says what to do"
_HEAD = f"""# When something breaks

`python -m tests.faults > docs/faults.md` runs every row below against the real code and writes this page; a slow test runs them again and fails if anything
is lost. S3 is moto behind a proxy on loopback that breaks answers, the GPU endpoint a server that answers in its words; timeouts of S3 and waits for it are a
tenth of production's, and so are the times here. v1 is live at the start of each row, v2 is published beside it. {COUNTED}, within API Gateway's 29 s;
a row of a file if it is not exactly once in results or errors, in order; a version if a function cannot load it; a release if the ledger does not tell it; and
a service that does not come back by itself counts as one. Not verified without AWS: how S3, SageMaker and Lambda themselves behave when they break.

## What is tried again, and for how long

| who asks | bounds | then |
| --- | --- | --- |
| predict reads S3 (obstore) | 2 s to connect, 10 s a request, 2 retries, none begun after 12 s | the version in memory answers; without one 503 |
| a version that arrived damaged | fetched once more | refused for a minute; the live one, or at a start the last good one of the ledger, answers |
| a start waits for its model | 8 s, under Lambda's 10 | the first request waits |
| a request waits | 3 s for S3 to say what is live if a model is in memory; 20 s for a model | the old version answers; without one 503 with `Retry-After` |
| S3 by boto3: commands, batch | 2 s to connect, 10 s a read, 3 tries; a body that breaks off 3 times, none begun after 30 s | the step or the command fails in words |
| a conditional write that meets another (409) | again after 0.1, 0.4 and 1.6 s | fails in words |
| the GPU endpoint | `SLIPWAY_GPU_SECONDS`, from the first byte out to the last in; never again | the CPU answers, and the breaker opens |
| a step of a batch job | 6 times, with backoff and jitter | `manifest.json` says why; redriving goes on where it stopped |
| an upload's event | EventBridge, for a day | the dead-letter queue, and an alarm |
| `slipway.client` | 4 retries, 90 s together | an error that says what to do |

## What works less well meanwhile

- S3 is gone: warm functions answer with what they have and follow no promotion; once in 25 s a request takes up to 3 s longer. New ones answer 503.
- The live version is damaged in S3: warm functions go on with the one before it, new ones find it in the ledger. `GET /v1/models/<model>` says DATA_LOSS.
- The endpoint is gone: the CPU answers, more slowly for large requests. `GpuFallbacks` counts.
- A job's step cannot write: the job fails after about five minutes of retries, nothing of it is published, and what is scored is kept for the redrive.
- A file is replaced while its older upload's event is still under way: only the newer one is scored.
- A command was cut off: the same command again does the rest. Half an upload is no version; an entry that the ledger lacks is written by the next change, and
  `slipway history` shows it before that.

## The matrix

| where | fault | what the caller sees | afterwards | lost |
| --- | --- | --- | --- | --- |
"""
_LIMITS = """
## Limits of what is accepted

| what | limit | beyond it |
| --- | --- | --- |
| body | 4.4 MB (`SLIPWAY_MAX_BODY_BYTES`) | 413 |
| texts a request | 1,000 (`SLIPWAY_MAX_INSTANCES`) | 413 |
| tokens a request | 100,000 (`SLIPWAY_MAX_REQUEST_TOKENS`), about 10 s of one vCPU; windows and left-out words count | 413 |
| time | 29 s at API Gateway, 2 s at the endpoint before the CPU answers, 15 minutes a step of a job | 504 of the gateway; the CPU; the step goes on anew |
| nested brackets in JSON | about 1,000, Python's recursion limit | 400; a row of a file is refused; a sidecar fails its job in words |
| digits of an integer | 4,300, Python's own limit | 400; as above |
| NaN, Infinity | read as numbers, and no field takes them | 422 |
| a member twice | the last one counts, as in most readers of JSON: nothing is decided on a body before it is read here | |
| half a surrogate pair, a NUL | refused where they are in a text | 422; a row of a file is refused |
| a model's name, a version | one segment of a path; a name that the deployment has; `<time>-<12 hex digits>`: nothing else gets near a key in S3 | 404 |
| a file's name (`POST /v1/batches`) | 200 characters, no folder, no `..`, no control character | 422 |
| a key in S3 | any; S3 has no folders, so `..` in one leads nowhere | |
| a row of a file | 2 MB, a text of 400,000 bytes | the row is refused |
| a line of a file | 64 MB | the file is refused |
| gzip, zstd | 1 MB is unpacked to tell the format; then a stream of 1 MB parts, so memory does not follow the ratio; zstd windows up to 128 MB; 14 minutes of unpacking | the file is refused |
| Parquet | pages are read a row group's 1,024 rows at a time; one that is not what the footer says | the file is refused |

No regular expression in the runtime has two ways to read the same text: each is timed on long hostile inputs by tests/unit/test_regexes.py. Every parser is
fuzzed: `python -m tests.fuzz --seconds 600`, by coverage where atheris is installed.
"""


def document(found: Iterable[Found]) -> str:
    """The whole page."""
    lines = [_line(row.where, row.what, outcome.sees, outcome.after, str(outcome.lost)) for row, outcome, _ in found]
    return _HEAD + "".join(lines) + _LIMITS


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"
