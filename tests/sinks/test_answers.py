"""What servers mean when they say no."""

from __future__ import annotations

from email.utils import formatdate

import pytest

from renogybt.sinks.answers import LONGEST_PAUSE, retry_after, trouble, wait
from renogybt.sinks.outlet import Answer

NOW = 1_750_000_000.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 40}, LONGEST_PAUSE),
        ({"retry-after": formatdate(NOW + 90, usegmt=True)}, 90),
        ({"retry-after": formatdate(NOW - 90, usegmt=True)}, 0),
        ({"retry-after": formatdate(NOW + 90, usegmt=True), "date": formatdate(NOW + 60, usegmt=True)}, 30),
        ({"retry-after": "Wed, 99 Foo 2025 25:61:61 GMT"}, None),
    ],
)
def test_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (429, {"retry-after": "7"}, (False, 7.0)),
        (503, {"retry-after": "7"}, (False, 7.0)),
        (429, {}, (True, 0.0)),
        (500, {"retry-after": "7"}, (True, 0.0)),
    ],
)
def test_who_says_when_to_come_back_does_not_fail(
    status: int, headers: dict[str, str], expected: tuple[bool, float]
) -> None:
    assert wait(Answer(status, headers, ""), NOW) == expected


def test_a_moved_address_is_shown_without_its_path() -> None:
    text = trouble(Answer(302, {"location": "https://user:pass@new.example:8443/path?key=secret"}, ""), {})
    assert "to new.example (302)" in text
    assert not {"user", "pass", "secret"} & set(text.replace("/", " ").split())
