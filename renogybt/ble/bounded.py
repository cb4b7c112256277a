"""A time limit that holds.

Cancelling a bleak call lands in its clean-up code, which may itself wait for a D-Bus answer that never comes, so a plain
`asyncio.timeout` around it can hang for ever; a second cancellation gets through. Every await on bleak goes through here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from renogybt.errors import Wedged

T = TypeVar("T")
log = logging.getLogger(__name__)
GRACE = 1.0
"""Seconds a cancelled call may take to clean up, twice."""
_listeners: WeakKeyDictionary[asyncio.AbstractEventLoop, Callable[[str], None]] = WeakKeyDictionary()


def when_wedged(tell: Callable[[str], None]) -> None:
    """Have `tell` called with a sentence whenever a call in the running event loop turns out to be wedged."""
    _listeners[asyncio.get_running_loop()] = tell


async def bounded(work: Coroutine[Any, Any, T], seconds: float, what: str) -> T:
    """The result of `work`, at the latest after `seconds` + 2 x `GRACE`.

    Raises what `work` raises, `TimeoutError` when it was cancelled in time, `Wedged` when it could not be cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            await _cancel(task, what)
    except asyncio.CancelledError:
        task.add_done_callback(_forget)
        await _cancel(task, what)
        raise
    if task.cancelled():
        raise TimeoutError(f"{what} took longer than {seconds:g} s")
    return task.result()


async def _cancel(task: asyncio.Future[Any], what: str) -> None:
    for _ in range(2):
        if task.done():
            return
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
    if not task.done():
        task.add_done_callback(_forget)
        text = f"{what} does not end and cannot be cancelled"
        if tell := _listeners.get(asyncio.get_running_loop()):
            tell(text)
        raise Wedged(text)


def _forget(task: asyncio.Future[Any]) -> None:
    """Take the late outcome of an abandoned call, so that asyncio does not complain about it."""
    if not task.cancelled() and task.exception():
        log.debug("abandoned call ended: %s", task.exception())
