"""Question and answer, without a radio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from renogybt.ble.talk import BUFFER, Talk
from renogybt.errors import LinkLost, LinkSpent, NoAnswer, NoTime

FOR_EVER = float("inf")


class Line:
    """What is written makes `answers` run, one after the other."""

    def __init__(self, talk: Talk, *answers: Callable[[], None]) -> None:
        self.talk, self.answers = talk, list(answers)
        self.alive = True
        self.written: list[tuple[float, bytes]] = []

    async def write(self, frame: bytes) -> None:
        self.written.append((asyncio.get_running_loop().time(), frame))
        if self.answers:
            self.answers.pop(0)()


def ends_with(mark: bytes) -> Callable[[bytes], bytes | None]:
    return lambda data: data if data.endswith(mark) else None


def soon(seconds: float, talk: Talk, data: bytes) -> None:
    asyncio.get_running_loop().call_later(seconds, talk.hear, data)


def played(play: Callable[[Talk], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(50):
            await play(Talk("the module"))

    asyncio.run(limited())


def test_an_answer_in_pieces() -> None:
    async def play(talk: Talk) -> None:
        line = Line(talk, lambda: [soon(0.01 * n, talk, piece) for n, piece in enumerate((b"a", b"b", b"."))])  # type: ignore[arg-type, return-value]
        assert await talk.ask(line, b"?", ends_with(b"."), 20.0, 0.0, FOR_EVER) == b"ab."
        assert not talk.spent

    played(play)


def test_what_came_before_the_question_does_not_count() -> None:
    async def play(talk: Talk) -> None:
        talk.hear(b"old.")
        line = Line(talk, lambda: soon(0.02, talk, b"new."))
        assert await talk.ask(line, b"?", ends_with(b"."), 20.0, 0.0, FOR_EVER) == b"new."
        talk.hear(b"after.")
        line.answers = [lambda: soon(0.02, talk, b"next.")]
        assert await talk.ask(line, b"?", ends_with(b"."), 20.0, 0.0, FOR_EVER) == b"next."

    played(play)


def test_after_a_silence_nothing_more_is_asked() -> None:
    async def play(talk: Talk) -> None:
        line = Line(talk, lambda: talk.hear(b"hal"), lambda: talk.hear(b"late."))
        with pytest.raises(NoAnswer) as caught:
            await talk.ask(line, b"?", ends_with(b"."), 0.05, 0.0, FOR_EVER)
        assert caught.value.received == b"hal"
        assert talk.spent
        with pytest.raises(LinkSpent):
            await talk.ask(line, b"?", ends_with(b"."), 0.05, 0.0, FOR_EVER)
        assert len(line.written) == 1

    played(play)


@pytest.mark.parametrize("while_waiting", [True, False])
def test_a_line_that_breaks(while_waiting: bool) -> None:
    async def play(talk: Talk) -> None:
        line = Line(talk)

        def broken() -> None:
            line.alive = False
            talk.stir()

        if while_waiting:
            asyncio.get_running_loop().call_later(0.02, broken)
        else:
            broken()
        began = asyncio.get_running_loop().time()
        with pytest.raises(LinkLost):
            await talk.ask(line, b"?", ends_with(b"."), 40.0, 0.0, FOR_EVER)
        assert asyncio.get_running_loop().time() - began < 20
        assert talk.spent

    played(play)


def test_no_line_and_no_time() -> None:
    async def play(talk: Talk) -> None:
        with pytest.raises(LinkLost):
            await talk.ask(None, b"?", ends_with(b"."), 20.0, 0.0, FOR_EVER)
        talk.spent = False
        with pytest.raises(NoTime):
            await talk.ask(Line(talk), b"?", ends_with(b"."), 20.0, 0.0, asyncio.get_running_loop().time())

    played(play)


def test_a_pause_is_kept_and_only_listening_writes_nothing() -> None:
    async def play(talk: Talk) -> None:
        line = Line(talk, *[lambda: soon(0.0, talk, b".")] * 2)
        for _ in range(2):
            await talk.ask(line, b"?", ends_with(b"."), 20.0, 0.1, FOR_EVER)
        (first, _), (second, _) = line.written
        assert second - first >= 0.1
        soon(0.02, talk, b"!" * 2 * BUFFER + b".")
        assert len(await talk.ask(line, None, ends_with(b"."), 20.0, 0.0, FOR_EVER)) == BUFFER
        assert len(line.written) == 2

    played(play)


def test_who_is_cancelled_while_waiting_leaves_a_spent_link() -> None:
    async def play(talk: Talk) -> None:
        task = asyncio.ensure_future(talk.ask(Line(talk), b"?", ends_with(b"."), 40.0, 0.0, FOR_EVER))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait({task})
        assert talk.spent

    played(play)


def test_what_follows_at_once_belongs_to_the_answer() -> None:
    """Two pieces may come before anybody is told of the first, which looked whole."""

    async def play(talk: Talk) -> None:
        def two() -> None:
            talk.hear(b"a.")
            talk.hear(b"b")
            soon(0.02, talk, b".")

        assert await talk.ask(Line(talk, two), b"?", ends_with(b"."), 20.0, 0.0, FOR_EVER) == b"a.b."

    played(play)


def test_what_is_there_when_the_time_is_up_is_taken() -> None:
    """Writing may last until the end of the cycle."""

    class Slow(Line):
        async def write(self, frame: bytes) -> None:
            await super().write(frame)
            loop, now = asyncio.get_running_loop(), asyncio.get_running_loop().time
            loop.time = lambda: now() + 20  # type: ignore[method-assign]

    async def play(talk: Talk) -> None:
        loop = asyncio.get_running_loop()
        line = Slow(talk, lambda: talk.hear(b"."))
        assert await talk.ask(line, b"?", ends_with(b"."), 40.0, 0.0, loop.time() + 10) == b"."
        with pytest.raises(NoAnswer):
            await talk.ask(Slow(talk), b"?", ends_with(b"."), 40.0, 0.0, loop.time() + 10)

    played(play)
