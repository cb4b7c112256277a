"""What HTTP answers that say no mean, the same for every server."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from renogybt.sinks.carrier import host
from renogybt.sinks.outlet import Answer

LONGEST_PAUSE = 24 * 3600.0


class Wait(NamedTuple):
    """`failed` and `pause` of a `Verdict`."""

    failed: bool
    pause: float


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds that `Retry-After` asks for; None without one.

    A date is held against the server's own clock if it tells that: a Pi without network has none to trust.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(LONGEST_PAUSE, float(text[:12]))
    until = _moment(text)
    return None if until is None else min(LONGEST_PAUSE, max(0.0, until - server_time(headers, wall)))


def server_time(headers: Mapping[str, str], wall: float) -> float:
    """What the server's clock says (`Date`); our own, `wall`, when it does not tell."""
    there = _moment(headers.get("date", ""))
    return wall if there is None else there


def _moment(text: str) -> float | None:
    """The Unix time in an HTTP date; None if it is none."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def wait(answer: Answer, wall: float) -> Wait:
    """A server that says when to come back is not failing; any other that says no is."""
    pause = retry_after(answer.headers, wall) if answer.status in (429, 503) else None
    return Wait(True, 0.0) if pause is None else Wait(False, pause)


def trouble(answer: Answer, remedies: Mapping[int, str]) -> str:
    """What is wrong and what to do about it; `remedies` by status come first."""
    status = answer.status
    if status in remedies:
        return remedies[status]
    if status == 429:
        return "asks to come more slowly (429); records wait"
    if status in (408, 425) or status >= 500:
        return f"has a fault of its own ({status}); records wait until it works again"
    if 300 <= status < 400:
        place = host(answer.headers.get("location", ""))
        to = "" if place == "(no host)" else f" to {place}"
        return f"has moved this address{to} ({status}); put the new one into url"
    return f"answered {status}; check url"
