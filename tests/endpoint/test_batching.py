"""The queue under any interleaving of arrivals, cancellations, deadlines, delays and failures."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.endpoint.batching import WINDOW, Batcher, Bounds
from functions.endpoint.deadlines import Deadlines
from functions.endpoint.errors import DeadlinePassed, QueueFull
from slipway.errors import RequestTooLarge
from tests.endpoint.clock import play


@dataclass(frozen=True)
class Text:
    """Its name is the request's number and its place there."""

    name: tuple[int, int]
    cost: int


@dataclass(frozen=True)
class Plan:
    """A caller: when it asks, what, how long it may take and when it hangs up, in seconds from when it asks."""

    at: float
    costs: list[int]
    deadline: float
    hangs_up: float | None


class Broken(Exception):
    """A batch that could not be computed."""


_moments = st.integers(0, 20).map(lambda tick: tick / 10)  # few, so that many things happen at the same moment
_plans = st.builds(
    Plan,
    at=_moments,
    costs=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    deadline=st.integers(1, 50).map(lambda tick: tick / 10),
    hangs_up=st.none() | _moments,
)
_bounds = st.builds(
    Bounds,
    batch_tokens=st.integers(1, 120),
    run_tokens=st.integers(0, 40),
    in_flight=st.integers(1, 3),
    queue_tokens=st.integers(20, 400),
    wait=st.sampled_from([0.0, 0.0, 0.1]),
)


@dataclass
class Scene:
    """Callers, a queue and a runner, with what each of them saw."""

    plans: Sequence[Plan]
    bounds: Bounds
    delays: Sequence[float]
    failing: frozenset[int]
    batches: list[list[Text]] = field(default_factory=list)
    order: dict[tuple[int, int], int] = field(default_factory=dict)  # of arrival
    outcomes: dict[int, list[Any]] = field(default_factory=dict)
    ended: dict[int, float] = field(default_factory=dict)  # when
    running: int = 0

    def texts(self, number: int) -> list[Text]:
        return [Text((number, place), cost) for place, cost in enumerate(self.plans[number].costs)]

    def started(self) -> set[tuple[int, int]]:
        return {text.name for batch in self.batches for text in batch}

    def waiting(self) -> dict[tuple[int, int], int]:
        """Arrival of the texts that nobody has computed and somebody still waits for."""
        started = self.started()
        return {name: at for name, at in self.order.items() if name not in started and name[0] not in self.outcomes}

    async def run(self, batch: Sequence[Text]) -> list[str]:
        number = len(self.batches)
        waiting = self.waiting()
        assert not {text.name for text in batch} & self.started(), "a text is computed once"
        assert len(batch) == 1 or len(batch) * max(text.cost for text in batch) <= self.bounds.batch_tokens
        now = asyncio.get_running_loop().time()
        assert all(self.ended.get(text.name[0], now) == now for text in batch), "nobody waits for it any more"
        assert min(self.order[text.name] for text in batch) <= min(waiting.values(), default=0), "none is overtaken"
        self.batches.append([*batch])
        self.running += 1
        assert self.running <= self.bounds.in_flight
        await asyncio.sleep(self.delays[number % len(self.delays)])
        self.running -= 1
        if number in self.failing:
            raise Broken
        return [f"answer to {text.name}" for text in batch]

    async def call(self, batcher: Batcher[Text, str], number: int) -> None:
        plan, texts = self.plans[number], self.texts(number)
        await asyncio.sleep(plan.at)
        room = self.bounds.queue_tokens - batcher.waiting_tokens
        self.order |= {text.name: len(self.order) + place for place, text in enumerate(texts)}
        asked = asyncio.get_running_loop().time()
        try:
            outcome: Any = await Deadlines().within(plan.deadline, batcher.submit(texts))
        except DeadlinePassed as error:
            assert asyncio.get_running_loop().time() >= asked + plan.deadline - 1e-9
            outcome = error
        except (QueueFull, RequestTooLarge) as error:
            assert sum(plan.costs) > room, "it would have fitted"
            outcome = error
        except (Broken, asyncio.CancelledError) as error:
            outcome = error
        self.outcomes.setdefault(number, []).append(outcome)
        self.ended[number] = asyncio.get_running_loop().time()

    async def play(self) -> Batcher[Text, str]:
        batcher: Batcher[Text, str] = Batcher(self.run, self.bounds)
        loop = asyncio.get_running_loop()
        tasks = []
        for number, plan in enumerate(self.plans):
            tasks.append(asyncio.create_task(self.call(batcher, number)))
            if plan.hangs_up is not None:
                loop.call_later(plan.at + plan.hangs_up, tasks[-1].cancel)
        await asyncio.wait(tasks)
        while batcher.running:
            await asyncio.sleep(0.1)
        return batcher


@settings(max_examples=400)
@given(
    st.lists(_plans, min_size=1, max_size=14),
    _bounds,
    st.lists(st.integers(0, 8).map(lambda tick: tick / 10), min_size=1, max_size=6),
    st.frozensets(st.integers(0, 20), max_size=3),
)
def test_every_request_ends_once_and_with_its_own_answers(
    plans: list[Plan], bounds: Bounds, delays: list[float], failing: frozenset[int]
) -> None:
    scene = Scene(plans, bounds, delays, failing)
    batcher = play(scene.play())
    broken = {text.name[0] for number in failing for text in scene.batches[number : number + 1] for text in text}
    for number, plan in enumerate(plans):
        if plan.hangs_up is not None and number not in scene.outcomes:
            continue  # it hung up before it asked
        (outcome,) = scene.outcomes[number]
        if isinstance(outcome, list):
            assert outcome == [f"answer to {text.name}" for text in scene.texts(number)]
            assert number not in broken
        elif isinstance(outcome, Broken):
            assert number in broken
        elif isinstance(outcome, asyncio.CancelledError):
            assert plan.hangs_up is not None
    assert (batcher.waiting, batcher.waiting_tokens, batcher.running) == (0, 0, 0)


@given(st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=14), _bounds)
def test_without_trouble_all_that_is_taken_is_answered(requests: list[list[int]], bounds: Bounds) -> None:
    plans = [Plan(at=0.0, costs=costs, deadline=1e6, hangs_up=None) for costs in requests]
    scene = Scene(plans, bounds, [0.3], frozenset())
    play(scene.play())
    kinds = {type(outcome) for (outcome,) in scene.outcomes.values()}
    assert kinds <= {list, QueueFull, RequestTooLarge}
    answered = [number for number, (outcome,) in scene.outcomes.items() if isinstance(outcome, list)]
    assert sum(map(len, scene.batches)) == sum(len(plans[number].costs) for number in answered)


GENEROUS = Bounds(batch_tokens=1_000, run_tokens=1_000, in_flight=2, queue_tokens=100_000)


def _scene(*plans: Plan, bounds: Bounds = GENEROUS, delay: float = 1.0, failing: frozenset[int] = frozenset()) -> Scene:
    scene = Scene(plans, bounds, [delay], failing)
    play(scene.play())
    return scene


def _plan(*costs: int, at: float = 0.0, deadline: float = 100.0, hangs_up: float | None = None) -> Plan:
    return Plan(at, [*costs], deadline, hangs_up)


def test_what_arrives_in_one_turn_is_one_batch() -> None:
    assert [len(batch) for batch in _scene(*[_plan(10)] * 8).batches] == [8]


def test_a_text_alone_waits_for_nobody() -> None:
    scene = _scene(_plan(10), _plan(10, at=0.5), _plan(10, at=0.6), _plan(10, at=0.7))
    assert [len(batch) for batch in scene.batches] == [1, 1, 2]  # two are in flight, and the next one fills meanwhile


def test_with_a_wait_a_batch_fills_first_and_goes_at_once_when_full() -> None:
    bounds = Bounds(batch_tokens=30, run_tokens=100, in_flight=2, queue_tokens=1_000, wait=0.5)
    assert [len(batch) for batch in _scene(_plan(10), _plan(10, at=0.3), bounds=bounds).batches] == [2]
    full = _scene(_plan(10), _plan(10, at=0.2), _plan(10, at=0.2), _plan(10, at=0.3), bounds=bounds)
    assert [len(batch) for batch in full.batches] == [3, 1]


def test_texts_of_like_length_are_computed_together() -> None:
    costs = [10, 100] * 18
    bounds = Bounds(batch_tokens=1_000, run_tokens=8, in_flight=1, queue_tokens=100_000)
    scene = _scene(_plan(*costs), bounds=bounds)
    assert all(len({text.cost for text in batch}) == 1 for batch in scene.batches)
    assert len(scene.batches) == 3  # 18 of 10, and 100 fit ten times


def test_a_round_has_a_quarter_of_what_waits_and_the_next_one_begins_when_it_is_computed() -> None:
    bounds = Bounds(batch_tokens=10, run_tokens=0, in_flight=1, queue_tokens=1_000)
    scene = _scene(_plan(*[1, 2] * 40), bounds=bounds)
    places = [sorted(text.name[1] for batch in part for text in batch) for part in (scene.batches[:3], scene.batches)]
    assert places == [[*range(20)], [*range(80)]]  # ten of 1, and twice five of 2
    assert {text.name[1] for text in scene.batches[3]} <= {*range(20, 35)}  # a quarter of the 60 that are left


def test_who_comes_later_does_not_overtake_a_text_of_another_length() -> None:
    costs = [10, 20, 30, 40, 50, 60, 70, 80]
    bounds = Bounds(batch_tokens=100, run_tokens=0, in_flight=1, queue_tokens=10_000)
    scene = _scene(_plan(*costs, 90), *(_plan(*costs, at=moment + 0.5) for moment in range(8)), bounds=bounds)
    before = [text.name for batch in scene.batches for text in batch]
    assert before[: len(costs) + 1] == [(0, place) for place in range(len(costs) + 1)]


def test_a_window_bounds_what_is_sorted() -> None:
    scene = _scene(_plan(*[1] * (WINDOW + 5)), bounds=_wide())
    assert [len(batch) for batch in scene.batches] == [WINDOW, 5]


def _wide() -> Bounds:
    return Bounds(batch_tokens=10**6, run_tokens=10**6, in_flight=1, queue_tokens=10**6)


def test_a_cancelled_request_leaves_the_queue_and_its_neighbours_stay() -> None:
    bounds = Bounds(batch_tokens=10, run_tokens=0, in_flight=1, queue_tokens=1_000)
    scene = _scene(_plan(10), _plan(10, 10, at=0.1, hangs_up=0.2), _plan(10, at=0.2), bounds=bounds)
    assert [text.name for batch in scene.batches for text in batch] == [(0, 0), (2, 0)]
    assert isinstance(scene.outcomes[1][0], asyncio.CancelledError)
    assert scene.outcomes[2] == [["answer to (2, 0)"]]


def test_a_request_past_its_deadline_leaves_the_queue() -> None:
    bounds = Bounds(batch_tokens=10, run_tokens=0, in_flight=1, queue_tokens=1_000)
    scene = _scene(_plan(10), _plan(10, deadline=0.5), bounds=bounds)
    assert isinstance(scene.outcomes[1][0], DeadlinePassed)
    assert len(scene.batches) == 1


def test_a_batch_that_fails_fails_its_requests_as_a_whole_and_no_other() -> None:
    bounds = Bounds(batch_tokens=10, run_tokens=0, in_flight=1, queue_tokens=1_000)
    scene = _scene(_plan(10, 10, 10), _plan(10), bounds=bounds, failing=frozenset({1}))
    assert isinstance(scene.outcomes[0][0], Broken)
    assert scene.outcomes[1] == [["answer to (1, 0)"]]
    assert (0, 2) not in scene.started()  # nobody waits for the third text any more


def test_a_full_queue_refuses_and_says_how_full() -> None:
    bounds = Bounds(batch_tokens=10, run_tokens=0, in_flight=1, queue_tokens=25)
    scene = _scene(_plan(10), _plan(10, at=0.1), _plan(10, at=0.2), _plan(10, at=0.3), bounds=bounds)
    assert str(scene.outcomes[3][0]) == "20 of 25 tokens wait already. Try again later."


def test_a_request_larger_than_the_queue_is_told_so() -> None:
    bounds = Bounds(batch_tokens=10, run_tokens=0, in_flight=1, queue_tokens=25)
    scene = _scene(_plan(20, 6), bounds=bounds)
    assert isinstance(scene.outcomes[0][0], RequestTooLarge)
    assert "26 tokens; 25 fit" in str(scene.outcomes[0][0])


def test_a_runner_that_loses_a_result_answers_nobody() -> None:
    async def lossy(batch: Sequence[Text]) -> list[str]:
        return ["only one" for _ in batch][:-1]

    async def ask() -> None:
        await Batcher(lossy, GENEROUS).submit([Text((0, 0), 1), Text((0, 1), 1)])

    with pytest.raises(ValueError, match="shorter"):
        play(ask())


def test_nothing_asked_is_nothing_run() -> None:
    async def ask() -> list[str]:
        batcher: Batcher[Text, str] = Batcher(Scene([], GENEROUS, [0.0], frozenset()).run, GENEROUS)
        return await batcher.submit([])

    assert play(ask()) == []
