"""The client's methods: what they send, what they give back, in which order."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from slipway import requests
from slipway.client import (
    Client,
    ClientError,
    Explanation,
    ModelVersion,
    NotSent,
    Parameters,
    Prediction,
    RequestRefused,
    Unavailable,
    Word,
)
from slipway.errors import SettingsError
from slipway.settings import Settings
from tests.unit.client.server import STAGE, VERSION, Behaviour, Seen, Server, prediction, predicts, says, waits_for

Connect = Callable[..., Client]
RUNTIME = Path(__file__).parents[3] / "layers" / "runtime" / "python"
TOO_LARGE = {"detail": "The texts have 128,000 tokens; 100,000 fit into one request.", "field": "instances"}
MEMBERS = {"model_version": VERSION, "backend": "cpu-int8"}


def _labels(predictions: Iterator[Prediction]) -> list[str | None]:
    return [each.label for each in predictions]


# --- one text


def test_a_prediction_has_all_that_the_service_says(client: Client, server: Server) -> None:
    found = client.predict("a good film")
    assert found == Prediction(
        label="a good film",
        score=0.75,
        scores={"a good film": 0.75, "other": 0.25},
        tokens=3,
        truncated=False,
        labels=None,
        model_version=VERSION,
        backend="cpu-int8",
    )
    assert not found.abstained
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", f"{STAGE}/v1/models/demo:predict")
    assert seen.headers["x-api-key"] == "k3y-of-the-usage-plan"
    assert seen.headers["content-type"] == "application/json"


def test_a_model_may_abstain_and_several_labels_may_apply(client: Client, server: Server) -> None:
    several = {**prediction("x"), "label": None, "abstained": True, "labels": ["billing", "fire"]}
    server.will(says({"predictions": [several], **MEMBERS}))
    found = client.predict("x", abstain_below=0.9)
    assert (found.label, found.abstained, found.labels) == (None, True, ("billing", "fire"))


def test_parameters_and_version_go_where_the_service_reads_them(client: Client, server: Server) -> None:
    client.predict("x", version="a/b", truncate="windows", top_k=2, abstain_below=0.5, raw_scores=True)
    (seen,) = server.seen
    assert seen.path == f"{STAGE}/v1/models/demo/versions/a%2Fb:predict"
    assert seen.body == (
        b'{"instances":["x"],"parameters":'
        b'{"truncate": "windows", "top_k": 2, "abstain_below": 0.5, "raw_scores": true}}'
    )


def test_the_truncations_are_those_of_the_service() -> None:
    assert get_args(get_type_hints(Parameters)["truncate"]) == requests.TRUNCATIONS


@pytest.mark.parametrize("text", ["schön 🎉", "العربية", "👩‍👩‍👧", 'quo"te\\', "nul\0 and\nline"])
def test_any_unicode_text_arrives_as_it_is(client: Client, server: Server, text: str) -> None:
    assert client.predict(text).label == text
    assert server.seen[0].texts == [text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Zx9\ud83d Zx9", "texts[0] has half of a surrogate pair at character 3"),
        (" \n", "texts[0] is empty"),
        (None, "texts[0] is NoneType, not str"),
        (b"Zx9", "texts[0] is bytes, not str"),
        ("Zx9" * 1_500_000, "texts[0] has 4,500,002 bytes"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is(
    client: Client, server: Server, text: str, said: str
) -> None:
    for call in (client.predict, client.explain):
        with pytest.raises(NotSent) as caught:
            call(text)
        assert said in str(caught.value)
        assert "Zx9" not in str(caught.value)
        assert (caught.value.field, caught.value.row) == ("texts[0]", 0)
    assert server.seen == []


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_a_parameter_that_json_cannot_say_is_refused(client: Client, value: float) -> None:
    with pytest.raises(NotSent, match="JSON"):
        client.predict("x", abstain_below=value)


def test_an_explanation_names_words_with_their_weights(client: Client, server: Server) -> None:
    words = [
        {"word": "good", "start": 2, "end": 6, "weight": 0.5},
        {"word": "film", "start": 7, "end": 11, "weight": 0},
    ]
    server.will(says({"explanations": [{**prediction("x"), "about": "positive", "words": words}], **MEMBERS}))
    found = client.explain("a good film", top_k=1)
    assert isinstance(found, Explanation)
    assert (found.about, found.prediction.label) == ("positive", "x")
    assert found.words == (Word("good", 2, 6, 0.5), Word("film", 7, 11, 0.0))
    assert server.seen[0].path.endswith("/v1/models/demo:explain")


def test_versions_say_which_serve_and_why_others_do_not(client: Client, server: Server) -> None:
    fine = {
        "version": "a",
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
        "labels": ["live"],
    }
    broken = {"version": "b", "state": "END", "status": {"error_code": "DATA_LOSS", "error_message": "model damaged"}}
    server.will(says({"model_version_status": [fine, broken]}))
    first, second = client.versions()
    assert (first, first.available) == (ModelVersion("a", "AVAILABLE", ("live",), ""), True)
    assert (second, second.available) == (ModelVersion("b", "END", (), "model damaged"), False)
    assert (server.seen[0].method, server.seen[0].path) == ("GET", f"{STAGE}/v1/models/demo")


def test_every_request_has_an_id_of_its_own_or_the_callers(client: Client, server: Server) -> None:
    client.predict("x")
    client.predict("x")
    client.predict("x", request_id="order-66")
    first, second, third = (seen.headers["x-request-id"] for seen in server.seen)
    assert first != second
    assert third == "order-66"
    with pytest.raises(NotSent, match="request id"):
        client.predict("x", request_id="a\r\nx-api-key: other")


# --- many texts


def test_many_texts_are_split_and_come_back_in_order(client: Client, server: Server) -> None:
    texts = [f"text {i}" for i in range(23)]
    assert _labels(client.predict_many(texts, size=5)) == texts
    assert sorted(len(seen.texts) for seen in server.seen) == [3, 5, 5, 5, 5]


def test_no_texts_are_no_request(client: Client, server: Server) -> None:
    assert list(client.predict_many([])) == []
    assert server.seen == []


def test_large_texts_are_split_under_the_bodys_limit(client: Client, server: Server) -> None:
    texts = [letter * 1_500_000 for letter in "abcde"]
    assert [text[0] for text in _labels(client.predict_many(texts)) if text] == [*"abcde"]
    assert sorted(len(seen.texts) for seen in server.seen) == [1, 2, 2]
    assert all(len(seen.body) <= Settings.max_body_bytes for seen in server.seen)


def test_order_is_kept_where_answers_are_not(client: Client, server: Server) -> None:
    """Four requests are under way, and the server answers the last one first."""
    texts = [f"text {i}" for i in range(4)]
    turns = [threading.Event() for _ in texts]
    answered: list[str] = []
    here = threading.Barrier(len(texts))

    def backwards(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        (text,) = seen.texts
        i = texts.index(text)
        here.wait(20)
        if i + 1 < len(texts):
            turns[i + 1].wait(20)
        answered.append(text)
        predicts(handler, seen)
        turns[i].set()

    server.will(*[backwards] * 4)
    assert _labels(client.predict_many(texts, size=1, in_flight=4)) == texts
    assert answered == texts[::-1]


def test_no_more_requests_than_asked_for_are_under_way(client: Client, server: Server) -> None:
    assert len(list(client.predict_many(map(str, range(40)), size=1, in_flight=3))) == 40
    assert server.busiest <= 3
    assert server.connections <= 3


def test_texts_are_read_as_answers_are_taken(client: Client) -> None:
    read: list[int] = []

    def source() -> Iterator[str]:
        for i in range(1_000):
            read.append(i)
            yield f"text {i}"

    answers = client.predict_many(source(), size=2, in_flight=2)
    assert read == []
    next(answers)
    assert len(read) <= 2 * 2 * 2
    answers.close()  # type: ignore[attr-defined]


def test_a_full_part_is_sent_while_the_source_waits_for_more(client: Client, server: Server) -> None:
    def source() -> Iterator[str]:
        yield from ("a", "b")
        assert server.was_asked.wait(20), "nothing was sent before a third text was there"
        yield "c"

    assert _labels(client.predict_many(source(), size=2)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [({"size": 0}, "size"), ({"size": 1_001}, "size"), ({"in_flight": 0}, "in_flight")],
)
def test_splitting_that_cannot_be_is_refused_at_the_call(client: Client, arguments: dict[str, int], field: str) -> None:
    with pytest.raises(NotSent) as caught:
        client.predict_many(["x"], **arguments)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_one_text_is_not_taken_for_many_letters(client: Client) -> None:
    with pytest.raises(NotSent, match="one text"):
        client.predict_many("a text")


def test_a_request_that_is_too_large_is_halved_and_the_next_ones_are_smaller(client: Client, server: Server) -> None:
    server.will(says(TOO_LARGE, 413))
    texts = [f"text {i}" for i in range(32)]
    assert _labels(client.predict_many(texts, size=8, in_flight=1)) == texts
    sizes = [len(seen.texts) for seen in server.seen]
    assert sizes[:3] == [8, 4, 4]
    assert sizes[-2:] == [4, 4]


def test_one_text_that_is_too_large_is_refused_with_its_row(client: Client, server: Server) -> None:
    server.will(predicts, *[says({**TOO_LARGE, "field": "instances[0]"}, 413)] * 2)
    answers = client.predict_many(["a", "b", "c", "d"], size=2, in_flight=1)
    assert [next(answers).label, next(answers).label] == ["a", "b"]
    with pytest.raises(RequestRefused) as caught:
        next(answers)
    assert (caught.value.status, caught.value.row) == (413, 2)


def test_an_error_comes_in_its_turn_with_the_row_among_all_texts(client: Client, server: Server) -> None:
    held = threading.Event()
    refusal = {"detail": "instances[1] has 300 tokens; 128 fit.", "field": "instances[1]", "remedy": "Shorten it."}

    def by_row(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        if "text 4" in seen.texts:
            says(refusal, 422)(handler, seen)
            held.set()
        else:  # the first request is answered after the second one
            waits_for(held)(handler, seen)

    server.will(by_row, by_row)
    answers = client.predict_many((f"text {i}" for i in range(6)), size=3, in_flight=2, truncate="error")
    assert [next(answers).label for _ in range(3)] == ["text 0", "text 1", "text 2"]
    with pytest.raises(RequestRefused) as caught:
        next(answers)
    assert (caught.value.row, caught.value.status, caught.value.remedy) == (4, 422, "Shorten it.")
    assert any("rows 3 to 5" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("answer", [says({}, 500), says({"predictions": []})])
def test_an_error_that_is_about_no_text_says_which_texts_were_sent(
    client: Client, server: Server, answer: Behaviour
) -> None:
    server.will(predicts, answer)
    answers = client.predict_many(["a", "b", "c", "d"], size=2, in_flight=1)
    assert [next(answers).label, next(answers).label] == ["a", "b"]
    with pytest.raises(ClientError) as caught:
        next(answers)
    assert caught.value.row is None
    assert any("rows 2 to 3" in note for note in caught.value.__notes__)


def test_a_text_that_cannot_be_sent_does_not_cost_the_answers_before_it(client: Client, server: Server) -> None:
    answers = client.predict_many(["a", "b", "c", "\ud83d", "e"], size=2, in_flight=4)
    assert [next(answers).label for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(NotSent) as caught:
        next(answers)
    assert (caught.value.row, caught.value.field) == (3, "texts[3]")
    assert sorted(text for seen in server.seen for text in seen.texts) == ["a", "b", "c"]


def test_what_is_left_alone_is_not_asked_any_more(client: Client, server: Server) -> None:
    answers = client.predict_many(map(str, range(1_000)), size=1, in_flight=2)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    client.close()
    assert len(server.seen) <= 2 * 2


# --- making a client


def test_the_environment_names_the_api() -> None:
    env = {"SLIPWAY_URL": "https://api.example.com/prod", "SLIPWAY_MODEL": "demo", "SLIPWAY_API_KEY": "k3y"}
    assert repr(Client.from_env(env)) == "Client('https://api.example.com/prod', model='demo')"


@pytest.mark.parametrize("missing", ["SLIPWAY_URL", "SLIPWAY_MODEL"])
def test_a_missing_variable_is_named(missing: str) -> None:
    env = {"SLIPWAY_URL": "https://api.example.com/prod", "SLIPWAY_MODEL": "demo"}
    with pytest.raises(SettingsError, match=missing):
        Client.from_env({**env, missing: ""})


def test_a_model_without_a_name_is_refused() -> None:
    with pytest.raises(NotSent, match="model"):
        Client("https://api.example.com", model="")


def test_a_client_that_is_closed_says_so(connect: Connect, server: Server) -> None:
    with connect() as client:
        client.predict("x")
    with pytest.raises(NotSent, match="closed"):
        client.predict("x")
    assert len(server.seen) == 1


def test_closing_ends_the_tries_of_what_is_under_way(connect: Connect, server: Server) -> None:
    client = connect()

    def meanwhile(handler: BaseHTTPRequestHandler, seen: Seen) -> None:
        client.close()
        says({}, 503)(handler, seen)

    server.will(meanwhile)
    with pytest.raises(Unavailable):
        client.predict("x")
    assert len(server.seen) == 1


def test_the_client_is_cheap_to_import() -> None:
    """What it pulls in is the standard library, and of ours itself, the errors and the settings."""
    script = f"import sys; sys.path.insert(0, {str(RUNTIME)!r}); import slipway.client; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {name.partition(".")[0] for name in loaded} - set(sys.stdlib_module_names) <= {"slipway", "__main__"}
    assert {name for name in loaded if name.startswith("slipway.") and not name.startswith("slipway.client")} == {
        "slipway.errors",
        "slipway.settings",
    }
    assert not loaded & {"asyncio", "concurrent.futures.process", "urllib.request"}


def test_types_are_told_to_type_checkers() -> None:
    assert (RUNTIME / "slipway" / "py.typed").is_file()
