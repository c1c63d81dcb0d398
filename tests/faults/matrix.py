"""The faults, a row each. Their names are those of docs/faults.md."""
# ruff: noqa: E501  a row a line

from tests.faults.batches import late_event, same_event, scored
from tests.faults.freezing import frozen
from tests.faults.gpu import gpu, healthy
from tests.faults.killing import killed_by_canary
from tests.faults.outcomes import Row
from tests.faults.proxy import Fault
from tests.faults.releases import clock_ahead, killed, promote, publish, two_at_once
from tests.faults.serving import clock_jump, cold, full_disk, promotion, warm

POINTER, MANIFEST, WEIGHTS = r"live\.json", r"manifest\.json", r"model\.int8\.onnx\.data"
NEVER = b'{"never": "JSON"'
_HOUR = 3_600.0

ROWS: tuple[Row, ...] = (
    Row("cold start", "S3 answers 503 SlowDown once", cold(Fault("status", POINTER, times=1))),
    Row("cold start", "S3 answers 500 to everything", cold(Fault("status", code="500 InternalError"))),
    Row("cold start", "S3 accepts and never answers", cold(Fault("hang"))),
    Row("cold start", "connections are reset, twice", cold(Fault("reset", times=2))),
    Row("cold start", "the weights arrive cut short, once", cold(Fault("truncated", WEIGHTS, times=1))),
    Row("cold start", "the weights arrive with a turned bit, once", cold(Fault("corrupt", WEIGHTS, times=1))),
    Row("cold start", "half of the manifest arrives as if it were all, once", cold(Fault("short", MANIFEST, times=1))),
    Row(
        "cold start",
        "the live version is damaged in S3",
        cold(Fault("corrupt", f"V2/{WEIGHTS}"), promoted=True, settled="v2"),
    ),
    Row("cold start", "the weights trickle for longer than S3 has", cold(Fault("trickle", WEIGHTS, times=1, seconds=2))),
    Row("cold start", "live.json is no JSON", cold(Fault("status", POINTER, code="200 OK", body=NEVER, times=1))),
    Row("cold start", "credentials have expired", cold(Fault("status", code="403 ExpiredToken"))),
    Row("warm", "S3 answers 503 to everything", warm(Fault("status"))),
    Row("warm", "S3 accepts and never answers", warm(Fault("hang"))),
    Row("warm", "every answer has another ETag", warm(Fault("etag"))),
    Row("warm", "the clock is six hours behind what S3 accepts", warm(Fault("status", code="403 RequestTimeTooSkewed"))),
    Row("warm", "the pointer is not HTTP", warm(Fault("garbage", POINTER))),
    Row("warm", "the wall clock jumps six hours ahead", clock_jump(6 * _HOUR)),
    Row("warm", "the wall clock jumps six hours back", clock_jump(-6 * _HOUR)),
    Row("promotion", "the new version's weights arrive cut short", promotion(Fault("truncated", WEIGHTS))),
    Row("promotion", "the new version's weights are gone", promotion(Fault("status", WEIGHTS, code="404 NoSuchKey"))),
    Row("promotion", "the new version's weights are damaged", promotion(Fault("corrupt", WEIGHTS))),
    Row("promotion", "the weights never arrive", promotion(Fault("hang", WEIGHTS))),
    Row("promotion", "/tmp is full", full_disk),
    Row("promotion", "Lambda freezes the process while it downloads the weights", frozen),
    Row("canary", "the canary's weights are damaged", promotion(Fault("corrupt", WEIGHTS), canary=True)),
    Row("canary", "the canary's weights never arrive", promotion(Fault("hang", WEIGHTS), canary=True)),
    Row("canary", "the process ends in the middle of the canary's answer", killed_by_canary),
    Row("GPU", "nothing", healthy),
    Row("GPU", "the endpoint accepts and never answers", gpu(Fault("hang"))),
    Row("GPU", "the endpoint answers 500", gpu(Fault("status", code="424 ModelError", body=b'{"OriginalStatusCode": 500}'))),
    Row("GPU", "the endpoint is throttled", gpu(Fault("status", code="429 ThrottlingException", body=b"{}"))),
    Row("GPU", "the endpoint is gone", gpu(Fault("status", code="400 ValidationError", body=b"{}"))),
    Row("GPU", "connections are reset", gpu(Fault("reset"))),
    Row("GPU", "its JSON is cut short", gpu(Fault("short"))),
    Row("GPU", "its body is cut short", gpu(Fault("truncated"))),
    Row("GPU", "its body trickles", gpu(Fault("trickle", seconds=5))),
    Row("GPU", "it serves another version", gpu(model_version="20260101T000000Z-000000000000")),
    Row("GPU", "it answers for one text of two", gpu(predictions=[])),
    Row("GPU", "a score is NaN", gpu(predictions=[{"label": "positive", "score": float("nan"), "scores": {}}] * 2)),
    Row("batch", "S3 answers 503 to every third request", scored(Fault("status", every=3))),
    Row("batch", "reading the file is cut short, twice", scored(Fault("truncated", "films", "GET", times=2))),
    Row("batch", "half of a range arrives as if it were all, once", scored(Fault("short", "films.csv", "GET", skip=1, times=1))),
    Row("batch", "half of a piece arrives as if it were all, once", scored(Fault("short", "/pieces/", "GET", times=1))),
    Row("batch", "answers to writes are lost", scored(Fault("lost", method="PUT", times=6))),
    Row("batch", "writes are done and answered 500", scored(Fault("lost status", method="PUT", times=6, code="500 InternalError"))),
    Row("batch", "a conditional write meets another one (409)", scored(Fault("status", "/pieces/|/done/", "PUT", times=4, code="409 ConditionalRequestConflict"))),
    Row("batch", "S3 refuses all writes of pieces until the workflow gives up", scored(Fault("status", "/pieces/", "PUT", code="403 AccessDenied"))),
    Row("batch", "S3 is slow: half a second an answer, ten times", scored(Fault("slow", times=10, seconds=0.5))),
    Row("batch", "connections are reset, ten times", scored(Fault("reset", times=10))),
    Row("batch", "every step runs twice", scored(twice=True)),
    Row("events", "the same event five times", same_event(5)),
    Row("events", "an older upload's event comes after the newer one's", late_event),
    Row("publish", "S3 answers 503 five times", publish(Fault("status", method="PUT", times=5))),
    Row("publish", "S3 refuses in the middle: the token has expired", publish(Fault("status", method="PUT", skip=3, code="403 ExpiredToken"))),
    Row("publish", "answers to writes are lost", publish(Fault("lost", method="PUT", times=3))),
    Row("publish", "a conditional write meets another one (409)", publish(Fault("status", method="PUT", times=2, code="409 ConditionalRequestConflict"))),
    Row("publish", "the process is killed between two files", killed),
    Row("promote", "the pointer is written and the answer lost", promote(Fault("lost", POINTER, "PUT", times=1))),
    Row("promote", "the pointer is written and answered 500, until it gives up", promote(Fault("lost status", POINTER, "PUT", code="500 InternalError"))),
    Row("promote", "the ledger cannot be written", promote(Fault("status", "/ledger/", "PUT", skip=1, code="403 AccessDenied"))),
    Row("promote", "the pointer is read with another ETag, once", promote(Fault("etag", POINTER, "GET", times=1))),
    Row("promote", "another promotion comes between", two_at_once),
    Row("promote", "a machine's clock is six hours ahead", clock_ahead),
)  # fmt: skip
