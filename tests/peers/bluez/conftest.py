"""Bleak in the test's own process, led to the fake."""

from __future__ import annotations

from typing import Any

import pytest

from tests.peers.bluez import scenarios
from tests.peers.bluez.client import Radio
from tests.peers.bluez.control import Fake
from tests.peers.bluez.scenario import Module
from tests.peers.fixtures import FakeBlueZ


@pytest.fixture
def radio(fake_bluez: FakeBlueZ, monkeypatch: pytest.MonkeyPatch) -> Radio:
    """Start a fake with these modules, for bleak in this process."""

    def started(*modules: Module, **more: Any) -> Fake:
        fake = fake_bluez(scenarios.scenario(*modules, **{"adv_interval_s": 0.02, **more}))
        for name, value in fake.env().items():
            monkeypatch.setenv(name, value)
        return fake

    return started
