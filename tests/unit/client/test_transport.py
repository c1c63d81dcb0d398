"""Connections, tries and time, against a server that misbehaves in every way that networks know."""

import datetime
import ipaddress
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from slipway.client import (
    BadAnswer,
    Client,
    ClientError,
    Patience,
    RequestRefused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from slipway.client.patience import Clock
from tests.unit.client.conftest import KEY, Time
from tests.unit.client.server import (
    Behaviour,
    Seen,
    Server,
    hangs_up,
    predicts,
    resets,
    says,
    speaks_otherwise,
    then_closes,
    waits_for,
)

Connect = Callable[..., Client]
ONCE = Patience(retries=0)
SECRET = "Zx9secretQw"
BUSY = {
    "type": "about:blank",
    "title": "Too Many Requests",
    "status": 429,
    "detail": "Too fast.",
    "remedy": "Slow down.",
}


# --- connections


def test_requests_share_one_connection(client: Client, server: Server) -> None:
    for _ in range(5):
        client.predict("x")
    assert (len(server.seen), server.connections) == (5, 1)


def test_a_refusal_leaves_the_connection_open(client: Client, server: Server) -> None:
    server.will(says({"detail": "No."}, 422))
    with pytest.raises(RequestRefused):
        client.predict("x")
    client.predict("x")
    assert server.connections == 1


def test_an_answer_in_chunks_is_read_and_leaves_the_connection_open(client: Client, server: Server) -> None:
    def in_chunks(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in (b'{"model_version', b'_status": []}', b""):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    server.will(in_chunks)
    assert client.versions() == []
    client.predict("x")
    assert server.connections == 1


def test_a_server_that_says_it_closes_is_asked_over_a_new_connection(
    client: Client, server: Server, time: Time
) -> None:
    server.will(then_closes(says({"model_version_status": []}, connection="close")))
    client.versions()
    client.predict("x")
    assert (server.connections, time.slept) == (2, [])


def test_a_connection_closed_while_idle_is_no_failed_try(connect: Connect, server: Server, time: Time) -> None:
    client = connect(patience=ONCE)
    for _ in range(3):
        server.will(then_closes(predicts))
        client.predict("x")
    assert (len(server.seen), server.connections, time.slept) == (3, 3, [])


def test_all_connections_closed_while_idle_are_no_failed_try(connect: Connect, server: Server, time: Time) -> None:
    client, here = connect(patience=ONCE), threading.Barrier(3)

    def together(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        here.wait(20)
        then_closes(predicts)(handler, seen)

    server.will(*[together] * 3)
    list(client.predict_many(["a", "b", "c"], size=1, in_flight=3))
    client.predict("x")
    assert (server.connections, time.slept) == (4, [])


def test_a_new_connection_that_is_closed_is_a_failed_try(connect: Connect, server: Server, time: Time) -> None:
    server.will(hangs_up, hangs_up)
    assert connect(patience=Patience(retries=2)).predict("x").label == "x"
    assert (len(server.seen), time.slept) == (3, [0.5, 1.0])


# --- tries


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again_with_growing_pauses(
    client: Client, server: Server, time: Time, status: int
) -> None:
    server.will(*[says(BUSY, status)] * 3)
    assert client.predict("x").label == "x"
    assert time.slept == [0.5, 1.0, 2.0]


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 422, 500, 501])
def test_what_would_come_again_is_not_tried_again(client: Client, server: Server, time: Time, status: int) -> None:
    server.will(says({"detail": "No."}, status))
    with pytest.raises(ClientError, match="No"):
        client.predict("x")
    assert (len(server.seen), time.slept) == (1, [])


@pytest.mark.parametrize("broken", [resets, hangs_up, speaks_otherwise, then_closes(says(b"{", content_length="1000"))])
def test_a_broken_answer_is_asked_for_again(client: Client, server: Server, broken: Behaviour) -> None:
    server.will(broken)
    assert client.predict("x").label == "x"
    assert len(server.seen) == 2


@pytest.mark.parametrize("broken", [resets, hangs_up, then_closes(says(b"{", content_length="1000"))])
def test_answers_that_stay_broken_are_unavailable(connect: Connect, server: Server, broken: Behaviour) -> None:
    server.will(*[broken] * 3)
    with pytest.raises(Unavailable) as caught:
        connect(patience=Patience(retries=2)).predict(SECRET)
    assert (caught.value.status, len(server.seen)) == (None, 3)
    assert f"127.0.0.1:{server.port}" in str(caught.value)
    assert caught.value.remedy


def test_a_request_keeps_its_id_over_its_tries(client: Client, server: Server) -> None:
    server.will(says(BUSY, 429), hangs_up)
    client.predict("x")
    client.predict("x")
    first, second, third, other = (seen.headers["x-request-id"] for seen in server.seen)
    assert first == second == third != other


def test_the_same_body_is_sent_again(client: Client, server: Server) -> None:
    server.will(says(BUSY, 503))
    client.predict("schön 🎉")
    assert server.seen[0].body == server.seen[1].body


@pytest.mark.parametrize(
    ("headers", "least"),
    [
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": "Mon, 23 Nov 2026 12:00:00 GMT"}, 30.0),
        ({"retry_after": "Mon, 23 Nov 2020 12:00:30 GMT"}, 0.0),
        ({"retry_after": "soon"}, 0.0),
        ({"retry_after": "-3"}, 0.0),
    ],
)
def test_retry_after_is_kept(client: Client, server: Server, time: Time, headers: dict[str, str], least: float) -> None:
    def busy(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        handler.date_time_string = lambda timestamp=None: headers.get("date", "Mon, 23 Nov 2026 12:00:00 GMT")  # type: ignore[method-assign]
        says(BUSY, 429, retry_after=headers["retry_after"])(handler, seen)

    server.will(busy)
    client.predict("x")
    assert time.slept == [least + 0.5]


def test_too_many_requests_after_all_tries(client: Client, server: Server, time: Time) -> None:
    server.will(*[says(BUSY, 429, retry_after="1")] * 5)
    with pytest.raises(TooManyRequests) as caught:
        client.predict("x")
    assert (caught.value.status, caught.value.detail, caught.value.remedy) == (429, "Too fast.", "Slow down.")
    assert caught.value.retry_after == 1.0
    assert len(server.seen) == 5
    (note,) = caught.value.__notes__
    assert note == f"Tried 5 times in {sum(time.slept):.1f} s; X-Request-Id: {server.seen[0].headers['x-request-id']}"


# --- time


def test_the_deadline_ends_the_tries(connect: Connect, server: Server, time: Time) -> None:
    server.will(*[says(BUSY, 503)] * 50)
    with pytest.raises(Unavailable):
        connect(patience=Patience(deadline=10.0, retries=100, first_pause=1.0)).predict("x")
    assert time.slept == [1.0, 2.0, 4.0]  # the next one would end at 15 s


def test_a_pause_that_is_too_long_is_not_begun(client: Client, server: Server, time: Time) -> None:
    server.will(says(BUSY, 429, retry_after="86400"))
    with pytest.raises(TooManyRequests) as caught:
        client.predict("x")
    assert (time.slept, caught.value.retry_after) == ([], 86_400.0)


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_a_slow_answer_is_given_up_and_asked_for_again(
    connect: Connect, server: Server, never: threading.Event
) -> None:
    server.will(waits_for(never))
    assert connect(patience=Patience(read=0.1)).predict("x").label == "x"
    assert (len(server.seen), server.connections) == (2, 2)


def test_answers_that_stay_slow_are_unavailable(connect: Connect, server: Server, never: threading.Event) -> None:
    server.will(waits_for(never), waits_for(never))
    with pytest.raises(Unavailable, match="in time") as caught:
        connect(patience=Patience(read=0.1, retries=1)).predict("x")
    assert isinstance(caught.value.__cause__, TimeoutError)


def test_a_try_takes_no_longer_than_the_deadline_leaves(
    connect: Connect, server: Server, never: threading.Event
) -> None:
    server.will(waits_for(never))
    with pytest.raises(Unavailable, match="in time"):
        connect(patience=Patience(read=600.0, deadline=0.1, retries=0)).predict("x")


def test_an_answer_that_trickles_ends_at_the_deadline(connect: Connect, server: Server, time: Time) -> None:
    def later() -> float:
        time.at += 1.0
        return time.at

    patience = Patience(deadline=5.0, retries=0)
    with pytest.raises(Unavailable, match="in time"):
        connect(patience=patience, clock=Clock(now=later, sleep=time.sleep)).predict("x" * 1_000_000)


def test_a_port_where_nobody_listens_is_unavailable(connect: Connect, server: Server) -> None:
    with Server() as gone:
        url = gone.url
    with pytest.raises(Unavailable, match="Connection refused"):
        connect(url, patience=ONCE).predict("x")


# --- answers of somebody else


@pytest.mark.parametrize(
    "answer",
    [
        says(b"<html>hello</html>"),
        says(b"\xff\xfe\xff"),
        says(b"[" * 100_000),
        says([]),
        says({"predictions": []}),
        says(b"", 204),
        says(b"", 301, location="https://elsewhere.example.com"),
    ],
)
def test_what_does_not_speak_this_api_is_a_bad_answer(client: Client, server: Server, answer: Behaviour) -> None:
    server.will(answer)
    with pytest.raises(BadAnswer, match="URL"):
        client.predict(SECRET)
    assert len(server.seen) == 1


def test_a_problem_of_the_gateway_has_no_instance(client: Client, server: Server) -> None:
    problem = {"type": "about:blank", "title": "Forbidden", "status": 403, "detail": "The API key is missing."}
    server.will(says({**problem, "remedy": "Send the header x-api-key."}, 403))
    with pytest.raises(Unauthorized) as caught:
        client.predict("x")
    error = caught.value
    assert (error.status, error.instance, error.field, error.row) == (403, "", "", None)
    assert str(error) == "The API key is missing. Send the header x-api-key."


def test_a_problem_of_the_service_is_carried_whole(client: Client, server: Server) -> None:
    problem = {"detail": "instances[0].text is empty.", "field": "instances[0].text", "instance": "urn:uuid:1"}
    server.will(says({**problem, "status": 422, "remedy": "Leave it out."}, 422))
    with pytest.raises(RequestRefused) as caught:
        client.predict("x")
    error = caught.value
    assert (error.status, error.field, error.instance, error.row) == (422, "instances[0].text", "urn:uuid:1", 0)


# --- what is kept secret


def _everything_shown(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    frames = "".join(line for line in shown.format() if "tests/unit" not in line)
    return frames + repr(error) + str(error) + repr(vars(error))


@pytest.mark.parametrize(
    "broken", [resets, hangs_up, says(BUSY, 429), says({}, 500), says(b"x"), says({"message": "Forbidden"}, 403)]
)
def test_the_key_is_in_no_error_and_no_traceback(connect: Connect, server: Server, broken: Behaviour) -> None:
    server.will(broken)
    client = connect(patience=ONCE)
    with pytest.raises(ClientError) as caught:
        client.predict("x")
    assert server.seen[0].headers["x-api-key"] == KEY, "the key was sent"
    assert KEY not in _everything_shown(caught.value)
    assert KEY not in repr(client)


@pytest.mark.parametrize("broken", [resets, hangs_up, says(BUSY, 429), says({}, 500), says(b"{" + SECRET.encode())])
def test_the_text_is_in_no_message(connect: Connect, server: Server, broken: Behaviour) -> None:
    server.will(broken)
    with pytest.raises(ClientError) as caught:
        connect(patience=ONCE).predict(SECRET)
    shown = traceback.TracebackException.from_exception(caught.value)
    assert SECRET not in "".join(shown.format_exception_only()) + repr(vars(caught.value))
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "slipway test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


@pytest.fixture
def encrypted(server: Server, certificate: Path) -> str:
    """The server's URL, now with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.httpd.socket = context.wrap_socket(server.httpd.socket, server_side=True)
    return server.url.replace("http://", "https://")


def test_a_certificate_that_is_not_trusted_ends_it(
    connect: Connect, encrypted: str, server: Server, time: Time
) -> None:
    with pytest.raises(Unavailable, match="certificate") as caught:
        connect(encrypted).predict("x")
    assert "self-signed" in str(caught.value)
    assert (server.seen, time.slept) == ([], [])


def test_a_certificate_that_is_trusted_is_enough(
    connect: Connect, encrypted: str, server: Server, certificate: Path
) -> None:
    client = connect(encrypted, tls=ssl.create_default_context(cafile=str(certificate)), patience=ONCE)
    for behaviour in (predicts, then_closes(predicts), predicts):  # the second is closed while it is idle
        server.will(behaviour)
        assert client.predict("x").label == "x"
    assert server.connections == 2
