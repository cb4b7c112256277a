"""What does not reach the log."""

from __future__ import annotations

import logging

from renogybt.cli.run import Rarely


def record(text: str, at: float) -> logging.LogRecord:
    made = logging.LogRecord("dbus_fast.message_bus", logging.ERROR, "", 0, "A message handler raised: %s", (text,), None)
    made.created = at
    return made


def test_the_same_complaint_passes_once_in_a_while() -> None:
    sieve = Rarely()
    passed = [at for at in range(0, 1300, 10) if sieve.filter(record("'Alias'", float(at)))]
    assert passed == [0, 600, 1200]
    assert sieve.filter(record("'Adapter'", 1300.0)), "another one is news"


def test_a_clock_that_jumps_back_does_not_silence_it() -> None:
    sieve = Rarely()
    assert sieve.filter(record("'Alias'", 1e9))
    assert sieve.filter(record("'Alias'", 0.0))


def test_it_remembers_a_few_complaints_only() -> None:
    sieve = Rarely()
    assert all(sieve.filter(record(str(number), 0.0)) for number in range(10 * Rarely.MOST))
    assert len(sieve._said) <= Rarely.MOST
