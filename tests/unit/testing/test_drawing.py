"""Looking for what no example thought of, in an async test."""

import asyncio

import pytest
from hypothesis import strategies as st

from broker.testing.drawing import for_all


async def test_each_example_is_awaited_in_the_loop_of_the_test() -> None:
    loop, seen = asyncio.get_running_loop(), []

    async def check(number: int) -> None:
        await asyncio.sleep(0)
        assert asyncio.get_running_loop() is loop
        seen.append(number)

    await for_all(st.integers(), check)
    assert len(seen) == 200


async def test_the_same_is_drawn_each_time() -> None:
    async def drawn() -> list[int]:
        seen = []

        async def check(number: int) -> None:
            seen.append(number)

        await for_all(st.integers(), check)
        return seen

    assert await drawn() == await drawn()


async def test_the_smallest_example_that_fails_is_told() -> None:
    async def check(number: int) -> None:
        assert number < 7, f"{number} is too much"

    with pytest.raises(AssertionError, match=r"^7 is too much"):
        await for_all(st.integers(), check)
