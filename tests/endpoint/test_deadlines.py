import asyncio

import pytest

from functions.endpoint.deadlines import Deadlines
from functions.endpoint.errors import DeadlinePassed
from tests.endpoint.clock import play


async def after(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return asyncio.get_running_loop().time()


def test_what_is_done_in_time_is_given_back() -> None:
    assert play(Deadlines().within(2.0, after(1.5))) == 1.5


def test_what_is_not_is_cancelled() -> None:
    with pytest.raises(DeadlinePassed, match="not answered in its time"):
        play(Deadlines().within(1.0, after(1.5)))


def test_a_timeout_of_the_work_itself_is_not_taken_for_the_deadline() -> None:
    async def impatient() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        play(Deadlines().within(1.0, impatient()))


def test_an_end_brings_forward_what_is_under_way_and_what_comes_after() -> None:
    async def scene() -> list[object]:
        deadlines = Deadlines()
        under_way = [asyncio.create_task(deadlines.within(seconds, after(50))) for seconds in (3.0, 100.0)]
        await asyncio.sleep(1)
        deadlines.bring_forward(5.0)
        under_way.append(asyncio.create_task(deadlines.within(100.0, after(50))))
        ends: list[object] = []
        for task in under_way:
            with pytest.raises(DeadlinePassed):
                await task
            ends.append(asyncio.get_running_loop().time())
        return ends

    assert play(scene()) == [3.0, 6.0, 6.0]
