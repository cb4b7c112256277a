"""The thread that owns the event loop, and with it everything that touches Bluetooth."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from renogybt.errors import Wedged

log = logging.getLogger(__name__)
BEAT = 1.0
"""Seconds between two signs of life."""
Job = Callable[[Any], Awaitable[None]]
"""Called in the radio thread with the radio; reports through queues, returns nothing."""


class Radio(Protocol):
    async def close(self) -> None: ...

    def abandon(self) -> None: ...


class Resident(Protocol):
    """Something else that lives in the thread's event loop, and may move into that of the next thread."""

    figures: Mapping[str, Any]
    """How it does, for whoever wants to know; replaced as a whole, so that any thread may read it."""

    async def live(self, radio: Any) -> None: ...

    async def close(self) -> None: ...

    def abandon(self) -> None:
        """From another thread, when the loop hangs: let go of sockets. Never blocks."""
        ...


class RadioThread:
    """Runs jobs in an event loop of its own. `make_radio` is called in the thread, once; then `residents` begin to live."""

    def __init__(self, make_radio: Callable[[], Radio], residents: Sequence[Resident] = ()) -> None:
        self._make_radio, self._residents = make_radio, residents
        self._loop = asyncio.new_event_loop()
        self._jobs: set[asyncio.Task[None]] = set()
        self._radio: Radio | None = None
        self._beat_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="ble", daemon=True)

    def start(self) -> None:
        self._beat_at = time.monotonic()
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def heartbeat(self) -> float:
        """When the event loop last showed that it runs (monotonic seconds); it does so every second."""
        return self._beat_at

    def submit(self, job: Job, done: Callable[[BaseException | None], None]) -> None:
        """Run `job` in the thread; `done` is called there when it has ended, with its error if it failed.

        When the thread has ended before, `done` is called here.
        """
        try:
            self._loop.call_soon_threadsafe(self._begin, job, done)
        except RuntimeError:
            done(Wedged("the Bluetooth thread has ended"))

    def stop(self, timeout: float) -> bool:
        """Cancel the jobs, close the radio, end the thread. True when all of that was done in time."""
        if self._thread.is_alive():
            self._ask_to_end()
            if self._thread is not threading.current_thread():
                self._thread.join(timeout)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Give up a thread that does not come back: break its connections, tell it to end, do not wait.

        For the main thread.
        """
        residents, self._residents = self._residents, ()  # they move on, and this thread must not close them any more
        for resident in residents:
            resident.abandon()
        if self._radio is not None:
            self._radio.abandon()
        self._ask_to_end()

    def _ask_to_end(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._loop.stop)
        except RuntimeError:
            log.debug("the Bluetooth thread had ended already")

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._radio = self._make_radio()
        self._beat()
        for resident in self._residents:
            self._begin(resident.live, lambda error: None)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._close())
        finally:
            self._loop.close()

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._loop.call_later(BEAT, self._beat)

    async def _close(self) -> None:
        jobs = set(self._jobs)
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=7)
        if self._residents:
            await asyncio.wait([asyncio.create_task(resident.close()) for resident in self._residents], timeout=3)
        assert self._radio
        await self._radio.close()
        leftovers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in leftovers:
            task.cancel()
        if leftovers:
            await asyncio.wait(leftovers, timeout=1)

    def _begin(self, job: Job, done: Callable[[BaseException | None], None]) -> None:
        task = self._loop.create_task(self._job(job, done))
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    async def _job(self, job: Job, done: Callable[[BaseException | None], None]) -> None:
        try:
            await job(self._radio)
        except asyncio.CancelledError as error:
            done(error)
            raise
        except Exception as error:  # the outermost frame of a job: whatever it was, main hears of it
            log.exception("a reading failed in a way nobody foresaw")
            done(error)
        else:
            done(None)
