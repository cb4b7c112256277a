"""When it is listened, and in which manner. The time is an argument."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from renogybt.ble.diagnosis import AdapterFacts, Facts, diagnose
from renogybt.ble.hearing import QUIET, UNKNOWN, Hearing
from renogybt.ble.listening import ENDED, LONGEST_RETRY, RETRY, Listener, Listening
from renogybt.ble.scan import Manner
from renogybt.settings import Watchdog
from tests.ble.rig import HASTY, PATIENCE, ROVER, Start
from tests.peers.bluez import scenarios

NOW = 1000.0
ACTIVE, PASSIVE = Manner(repeats=True), Manner(passive=True, repeats=True)


def attended(**options: Any) -> tuple[Listening, list[str]]:
    told: list[str] = []
    found = Listening()
    found.attend(Listener(lambda advert: None, lambda: told.append(found.state), **options), NOW)
    return found, told


def test_without_a_listener_nothing_lasts() -> None:
    found = Listening()
    assert found.rest(NOW, False) > 0
    assert found.manner(True) == Manner()
    found.began(Manner())
    assert not found.open
    assert not found.ends()


def test_an_adapter_that_cannot_listen_passively_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    found, _ = attended(passive=True)
    for _ in range(5):
        found.failed(PASSIVE, "it cannot", NOW)
        found.attend(Listener(lambda advert: None, lambda: None, passive=True), NOW)
    assert len([record for record in caplog.records if "cannot listen passively" in record.getMessage()]) == 1


def test_always() -> None:
    found, told = attended()
    assert found.rest(NOW, True) == 0
    assert found.rest(NOW + 1e6, True) == 0
    assert found.manner(True) == found.manner(False) == ACTIVE
    found.starts()
    found.began(ACTIVE)
    assert found.open
    assert told == ["starting", "running"]
    assert found.ends()
    assert not found.open


def test_searching_is_active() -> None:
    found, _ = attended(passive=True)
    assert found.manner(False) == PASSIVE
    assert found.manner(True) == ACTIVE


def test_passive_listening_that_does_not_work_is_given_up() -> None:
    for complain in (lambda found: found.failed(PASSIVE, "unknown method", NOW), lambda found: found.silent(PASSIVE)):
        found, _ = attended(passive=True)
        complain(found)
        assert found.manner(False) == ACTIVE
        assert found.rest(NOW, False) == 0


def test_pauses() -> None:
    found, _ = attended(active_seconds=10.0, idle_seconds=30.0)
    assert [found.rest(NOW + at, False) for at in (0, 9.9, 10, 25, 39.5, 40, 50)] == [0, 0, 30, 15, 0.5, 0, 30]
    assert found.until(NOW + 8) == 2
    assert attended(active_seconds=10.0)[0].rest(NOW + 15, False) == 0
    assert attended(idle_seconds=10.0)[0].rest(NOW + 15, False) == 0


def test_pausing_for_readings() -> None:
    found, _ = attended(pause_for_readings=True)
    assert found.rest(NOW, False) == 0
    assert found.rest(NOW, True) > 0


def test_failures_make_it_patient() -> None:
    found, told = attended()
    waits = []
    for _ in range(8):
        found.failed(ACTIVE, "not now", NOW)
        waits.append(found.rest(NOW, False))
    assert waits[:3] == [RETRY, 2 * RETRY, 4 * RETRY]
    assert waits[-1] == LONGEST_RETRY
    assert set(told) == {"failed"}
    found.began(ACTIVE)
    assert found.rest(NOW, False) == 0
    found.failed(ACTIVE, "not now", NOW)
    assert found.rest(NOW, False) == RETRY


def test_a_scan_that_ended_without_us() -> None:
    found, _ = attended()
    found.began(ACTIVE)
    assert not found.is_over(True, NOW)
    assert not found.is_over(False, NOW + 1)
    assert not found.is_over(True, NOW + 2)
    assert not found.is_over(False, NOW + 3)
    assert found.is_over(False, NOW + 3 + ENDED)
    found.began(PASSIVE)
    assert not found.is_over(False, NOW + 100)


def test_silence() -> None:
    hearing = Hearing()
    assert not hearing.is_quiet(NOW, NOW + QUIET - 1)
    assert hearing.is_quiet(NOW, NOW + QUIET)
    hearing.judge(NOW, False, NOW + QUIET)
    hearing.judge(NOW, False, NOW + 1)
    hearing.judge(NOW, True, NOW + 1)
    assert hearing.silent_scans == 2
    hearing.take("A", "", UNKNOWN, NOW)
    assert hearing.silent_scans == 2
    hearing.take("A", "", -50, NOW)
    assert hearing.silent_scans == 0
    hearing.judge(NOW - 1, False, NOW + 1)
    assert hearing.silent_scans == 0
    hearing.judge(NOW - 1, False, NOW + QUIET)
    assert hearing.silent_scans == 1


def test_the_watchdog_leaves_listening_alone(rig: Start) -> None:
    """A scan of ours that has no end, while readings fail, is no trouble; one whose end is not confirmed is."""
    watchdog = Watchdog(interval=1, stuck_seconds=2, rfkill="")
    radio = rig(scenarios.controller(), watchdog=watchdog, bluetooth=HASTY, page_s=0.1, page_error="le-connection-timeout")
    radio.read_until()
    listener = Listener(lambda advert: None, lambda: None)
    adapter = next(iter(radio.manager.adapters.values()))

    async def attend(manager: Any) -> None:
        adapter.attend(listener)

    radio.do(attend)
    radio.fake.module(scenarios.CONTROLLER, advertising=False)
    radio.fake.drop_link(scenarios.CONTROLLER)
    began = time.monotonic()
    while time.monotonic() - began < 6:
        with pytest.raises(Exception, match="rover"):
            radio.read()
    assert adapter.failing_since is not None
    assert [kind for kind in radio.kinds() if kind not in ("module",)] == []

    async def dismiss(manager: Any) -> None:
        adapter.dismiss(listener)

    radio.do(dismiss)
    facts = AdapterFacts("hci0", discovering_since=1.0, session_since=NOW - 100, failing_since=NOW - 100)
    assert diagnose(Facts(NOW, adapters=(facts,)), Watchdog()) is not None


def test_looking_for_a_module_uses_the_scan_that_runs(rig: Start) -> None:
    radio = rig(scenarios.controller(), scenarios.dcdc())
    heard: set[str] = set()
    listener = Listener(lambda advert: heard.add(advert.address), lambda: None)

    async def attend(manager: Any) -> None:
        (await manager.adapter_called("")).attend(listener)

    radio.do(attend)

    async def find(manager: Any) -> list[Any]:
        adapter = await manager.adapter_called("")
        wanted = (scenarios.CONTROLLER, scenarios.DCDC, "11:22:33:44:55:66")
        limits = (PATIENCE, PATIENCE, 0.4)
        looking = zip(wanted, limits, strict=True)
        return await asyncio.gather(*(adapter.find(lambda d, a=address: d.address == a, most) for address, most in looking))

    found = radio.do(find)
    assert [device.address if device else None for device in found] == [scenarios.CONTROLLER, scenarios.DCDC, None]
    assert heard == {scenarios.CONTROLLER, scenarios.DCDC}
    assert radio.members("StartDiscovery", "StopDiscovery") == ["StartDiscovery"]
    assert radio.read(ROVER)
    radio.until(lambda: len(radio.members("StartDiscovery", "StopDiscovery")) > 2)
    assert radio.members("StartDiscovery", "StopDiscovery")[:3] == ["StartDiscovery", "StopDiscovery", "StartDiscovery"]

    async def dismiss(manager: Any) -> None:
        (await manager.adapter_called("")).dismiss(listener)

    radio.do(dismiss)
