"""Fixtures for the simulated peers; import them in conftest.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.peers.bluez.control import Fake
from tests.peers.bluez.scenario import Scenario

FakeBlueZ = Callable[..., Fake]


@pytest.fixture
def fake_bluez() -> Iterator[FakeBlueZ]:
    """Start fakes: `fake = fake_bluez(scenario, **options of Fake)`. All are gone when the test ends."""
    with ExitStack() as stack:

        def started(scenario: Scenario, **options: Any) -> Fake:
            return stack.enter_context(Fake(scenario, **options))

        yield started
