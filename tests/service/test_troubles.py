"""What is said of devices that are not read: once, and once for all behind a module."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from renogybt.reading import Failure, Identity
from renogybt.service.troubles import Troubles

HUB, ROVER = "C4:64:E3:38:3D:0E", "60:98:66:ED:FC:11"
ABSENT = f"hub ({HUB}) was not seen in 15 s of scanning"


def failure(unit: int, error: str, mac: str = HUB, alias: str = "hub") -> Failure:
    return Failure(Identity(mac, unit, alias, True), error, 0.0, 0.0)


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[list[str]]:
    """Lines of the log; emptied by the test."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.levelname} {record.getMessage()}")

    keep = Keep(logging.INFO)
    log = logging.getLogger("renogybt.service.bridge")
    caplog.set_level(logging.INFO, log.name)
    log.addHandler(keep)
    yield lines
    log.removeHandler(keep)


def test_one_outage_is_one_line_for_all_behind_the_module(said: list[str]) -> None:
    troubles = Troubles(aloud=True)
    for _ in range(3):
        for unit in (48, 49, 50):
            troubles.failed("device.hub", failure(unit, ABSENT))
        troubles.ended("device.hub")
    assert said == [f"WARNING hub_48, hub_49, hub_50: {ABSENT}"]
    said.clear()
    for unit in (48, 49, 50):
        troubles.read("device.hub", Identity(HUB, unit, "hub", True))
    troubles.ended("device.hub")
    assert said == ["INFO hub_48, hub_49, hub_50 are read again"]
    assert not troubles.now


def test_sections_that_share_a_module_say_it_once(said: list[str]) -> None:
    troubles = Troubles(aloud=True)
    for turn in range(2):
        troubles.failed("device.hub", failure(48, ABSENT))
        troubles.ended("device.hub")
        troubles.failed("device.charger", failure(96, ABSENT, alias="charger"))
        troubles.ended("device.charger")
        assert said == [f"WARNING hub_48: {ABSENT}"], turn
    troubles.failed("device.rover", failure(16, ABSENT.replace(HUB, ROVER), ROVER, "rover"))
    troubles.ended("device.rover")
    assert len(said) == 2, "another module is another matter"


def test_what_is_wrong_with_one_device_is_said_of_each(said: list[str]) -> None:
    troubles, silence = Troubles(aloud=True), "no answer to register 5000 within 2 s; is device_id right?"
    troubles.failed("device.hub", failure(49, silence))
    troubles.failed("device.hub", failure(50, "damaged answer"))
    troubles.ended("device.hub")
    troubles.failed("device.charger", failure(96, silence, alias="charger"))
    troubles.ended("device.charger")
    assert [line.split(": ")[0] for line in said] == ["WARNING hub_49", "WARNING hub_50", "WARNING charger_96"]


def test_what_was_over_within_a_cycle_is_not_worth_a_word(said: list[str]) -> None:
    troubles = Troubles(aloud=True)
    troubles.failed("device.hub", failure(48, ABSENT))
    troubles.read("device.hub", Identity(HUB, 48, "hub", True))
    troubles.ended("device.hub")
    assert not said


def test_a_part_that_is_missing_is_said_when_it_changes(said: list[str]) -> None:
    troubles, pack = Troubles(aloud=True), Identity(HUB, 48, "hub", True)
    for missing in ((), ("cells",), ("cells",), ("cells", "pack"), (), ("cells",)):
        troubles.read("device.hub", pack, missing)
    assert [line.rpartition("missing: ")[2] for line in said] == ["cells", "cells, pack", "cells"]


def test_a_single_run_says_everything_at_its_end(said: list[str]) -> None:
    troubles = Troubles(aloud=False)
    for unit in (48, 49):
        troubles.failed("device.hub", failure(unit, ABSENT))
    troubles.ended("device.hub")
    troubles.ended("device.rover", "not read within 240 s")
    assert not said
    assert troubles.alike() == [(ABSENT, ["hub_48", "hub_49"]), ("not read within 240 s", ["device.rover"])]
