"""The time limit holds, however badly the call behaves."""

import asyncio
import gc
import time

import pytest

from renogybt.ble import bounded as module
from renogybt.ble.bounded import bounded
from renogybt.errors import Wedged


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GRACE", 0.1)


async def stubborn(cancellations: int) -> str:
    """Swallows that many cancellations, as bleak's clean-up does while D-Bus is silent."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancellations -= 1
            if cancellations < 0:
                raise


def test_a_result_passes_through() -> None:
    async def work() -> int:
        return 7

    assert asyncio.run(bounded(work(), 1, "working")) == 7


def test_an_error_passes_through() -> None:
    async def work() -> None:
        raise KeyError("Roles")

    with pytest.raises(KeyError):
        asyncio.run(bounded(work(), 1, "working"))


@pytest.mark.parametrize("cancellations", [0, 1])
def test_too_long_is_cancelled_even_if_the_first_time_is_ignored(cancellations: int) -> None:
    with pytest.raises(TimeoutError, match="connecting took longer than"):
        asyncio.run(bounded(stubborn(cancellations), 0.05, "connecting"))


def test_what_cannot_be_cancelled_is_wedged_and_does_not_hold_us() -> None:
    async def scene() -> float:
        began = time.monotonic()
        with pytest.raises(Wedged, match="scanning"):
            await bounded(stubborn(2), 0.05, "scanning")
        return time.monotonic() - began

    assert asyncio.run(scene()) < 20


def test_cancelling_from_outside_reaches_the_call() -> None:
    async def scene() -> list[str]:
        ended: list[str] = []

        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                ended.append("cleaned up")

        task = asyncio.create_task(bounded(work(), 60, "working"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return ended

    assert asyncio.run(scene()) == ["cleaned up"]


def test_what_fails_while_it_is_cancelled_from_outside_is_not_complained_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        async def work() -> None:
            try:
                await asyncio.sleep(60)
            finally:
                raise EOFError("the bus is gone")

        task = asyncio.create_task(bounded(work(), 60, "working"))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()

    asyncio.run(scene())
    gc.collect()
    assert "never retrieved" not in caplog.text
