"""Fresh processes: what they say, what they are charged for, and what happens to one that fails."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import model_bucket
from benchmarks.cold_imports import by_package
from benchmarks.events import HANDLER, function_environment, predict_event
from benchmarks.peers.worker import environment
from benchmarks.runtime_api import FunctionFailed
from benchmarks.starter import Start, Starter
from benchmarks.starts.stopwatch import Stopwatch
from slipway.artifact import read_manifest


def test_a_part_does_not_count_what_parts_inside_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([(0.0, 0.0), (1.0, 0.5), (6.0, 1.5), (8.0, 3.5)])
    monkeypatch.setattr(Stopwatch, "_now", lambda _: next(moments))
    watch = Stopwatch()
    with watch.part("outer"), watch.part("inner"):
        pass
    assert watch.parts == {"inner": [5.0, 1.0], "outer": [3.0, 2.5]}


def test_a_part_of_another_thread_is_not_inside() -> None:
    watch = Stopwatch()
    with watch.part("here"), ThreadPoolExecutor(1) as pool:
        pool.submit(_sleep, watch, 0.05).result()
    assert watch.parts["here"][0] >= 0.05 <= watch.parts["there"][0]


def _sleep(watch: Stopwatch, seconds: float) -> None:
    with watch.part("there"):
        time.sleep(seconds)


def test_a_wrapped_function_is_a_part_and_answers_as_before() -> None:
    class Thing:
        @classmethod
        def make(cls, value: int) -> tuple[type, int]:
            return cls, value

        def double(self, value: int) -> int:
            return 2 * value

    watch = Stopwatch()
    watch.wrap(Thing, "make", "made")
    watch.wrap(Thing, "double", "doubled")
    assert Thing.make(3) == (Thing, 3)
    assert Thing().double(value=4) == 8
    assert set(watch.parts) == {"made", "doubled"}


def test_imports_are_summed_by_package_and_loading_a_model_is_no_import() -> None:
    log = (
        "import time: self [us] | cumulative | imported package\n"
        "import time:       300 |       1300 |   numpy.core\n"
        "import time:       700 |        700 | numpy\n"
        "import time:     90000 |      91000 | functions.predict.handler\n"
        '{"message": "import time"}\n'
    )
    assert by_package(log) == {"numpy": (0.001, 2)}


def test_a_process_is_charged_until_its_answer(tmp_path: Path) -> None:
    sample = Starter(tmp_path / "log")(Start(module="benchmarks.starts.interpreter", environment=environment()))
    assert 0 < sample.cpu < 5
    assert sample.wall > 0


def test_a_process_that_ends_without_an_answer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FunctionFailed, match="No module named"):
        Starter(tmp_path / "log")(Start(module="benchmarks.starts.nobody", environment=environment()))


def test_the_function_starts_from_a_store_that_is_only_read(tiny_artifact: Path, tmp_path: Path) -> None:
    model = model_bucket.fill(tmp_path / "s3", "models", tiny_artifact)
    assert model == read_manifest(tiny_artifact).model
    with model_bucket.serving(tmp_path / "s3") as s3:
        variables = function_environment(model, "models", s3)
        event = predict_event(model, ["good film"])
        function = Start(module="awslambdaric", arguments=[HANDLER], environment=variables, event=event)
        assert Starter(tmp_path / "log")(function).cpu > 0


def test_a_function_that_answers_an_error_is_one(tiny_artifact: Path, tmp_path: Path) -> None:
    model = model_bucket.fill(tmp_path / "s3", "models", tiny_artifact)
    with model_bucket.serving(tmp_path / "s3") as s3:
        variables = function_environment(model, "models", s3)
        event = predict_event("another", ["good film"])
        function = Start(module="awslambdaric", arguments=[HANDLER], environment=variables, event=event)
        with pytest.raises(FunctionFailed, match="404"):
            Starter(tmp_path / "log")(function)


def test_a_function_whose_process_ends_is_an_error(tmp_path: Path) -> None:
    broken = Start(module="awslambdaric.nobody", environment=environment(), event={})
    with pytest.raises(FunctionFailed, match="No module named"):
        Starter(tmp_path / "log")(broken)
