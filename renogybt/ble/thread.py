"""The thread that owns the event loop, and with it everything that touches Bluetooth."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

log = logging.getLogger(__name__)
Job = Callable[[Any], Awaitable[None]]
"""Called in the radio thread with the radio; reports through queues, returns nothing."""


class Radio(Protocol):
    async def close(self) -> None: ...


class RadioThread:
    """Runs jobs in an event loop of its own. `make_radio` is called in the thread, once."""

    def __init__(self, make_radio: Callable[[], Radio]) -> None:
        self._make_radio = make_radio
        self._loop = asyncio.new_event_loop()
        self._jobs: set[asyncio.Task[None]] = set()
        self._radio: Radio | None = None
        self._thread = threading.Thread(target=self._run, name="ble", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def submit(self, job: Job, done: Callable[[BaseException | None], None]) -> None:
        """Run `job` in the thread; `done` is called there when it has ended, with its error if it failed."""
        self._loop.call_soon_threadsafe(self._begin, job, done)

    def stop(self, timeout: float) -> bool:
        """Cancel the jobs, close the radio, end the thread. True when all of that was done in time."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end)
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._radio = self._make_radio()
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._close())
        finally:
            self._loop.close()

    def _end(self) -> None:
        self._loop.stop()

    async def _close(self) -> None:
        jobs = set(self._jobs)
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs, timeout=7)
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
