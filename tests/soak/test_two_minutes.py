"""Two minutes of the soak with a fault each eleven seconds; `make soak MINUTES=30` for more."""

from __future__ import annotations

import pytest

from tests.soak.run import soak

SEED, EVERY = 661, 11.0
"""A seed with faults of many kinds (link, Connect, scan, adapter, bluetoothd, D-Bus, answers) and calm between them."""


@pytest.mark.timeout(480)
def test_two_minutes_of_faults() -> None:
    outcome = soak(2, SEED, EVERY, print)
    print(outcome)
    assert [line for line in outcome.lines if line.kept is False] == []
    assert outcome.record.faults >= 10
