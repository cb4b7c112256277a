"""What is shared by all modules: places, turns, releases, wedged calls, an abandoned thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from typing import Any

import pytest
from msgspec.structs import replace

from renogybt.ble import lender
from renogybt.ble import manager as manager_file
from renogybt.ble.adapter import Adapter
from renogybt.ble.bounded import bounded
from renogybt.ble.thread import RadioThread
from renogybt.errors import ConnectFailed, LinkError, NoAnswer, NoTime, Released, Wedged
from renogybt.settings import Watchdog
from tests.ble.rig import DCDC, PACK, PATIENCE, PROMPT, QUICK, ROVER, Rig, Start, ask, within
from tests.peers.bluez import scenarios

MODULES = (scenarios.controller(), scenarios.batteries(), scenarios.dcdc())
DEVICES = (ROVER, PACK, DCDC)


def linked(radio: Rig) -> set[str]:
    return {link["address"] for link in radio.fake.connections()}


# Places


def test_the_module_used_least_recently_gives_way(rig: Start) -> None:
    radio = rig(*MODULES, wanted=DEVICES, bluetooth=replace(QUICK, max_connections=2))
    for device in (ROVER, PACK, ROVER):
        radio.read(device)
    radio.read(DCDC)
    assert linked(radio) == {scenarios.CONTROLLER, scenarios.DCDC}
    radio.read(PACK)
    assert linked(radio) == {scenarios.DCDC, scenarios.BATTERIES}


def test_never_more_connections_than_allowed_however_many_want_one(rig: Start) -> None:
    radio = rig(*MODULES, wanted=DEVICES, bluetooth=replace(QUICK, max_connections=1))
    for _ in range(3):
        for result in [radio.begin_read(device) for device in DEVICES]:
            result()
    up = 0
    for event in radio.fake.events():
        up += {"connected": 1, "disconnected": -1}.get(event["what"], 0)
        assert up <= 1


# Turns and time


def test_who_waits_too_long_for_a_module_gives_up_and_does_not_count_it_as_a_failure(rig: Start) -> None:
    radio = rig()
    radio.read()
    module = radio.manager.module_of(ROVER)
    assert module is not None

    async def hold(manager: Any) -> None:
        async with module.lock:
            began = asyncio.get_running_loop().time()
            manager._plan = replace_total(manager._plan, 0.3)
            with pytest.raises(NoTime, match="no time left in this cycle"):
                await ask(manager)
            assert asyncio.get_running_loop().time() - began < PROMPT

    radio.do(hold)
    assert module.terms.failures == 0
    assert not module.lock.locked()
    radio.read()


def replace_total(plan: Any, seconds: float) -> Any:
    return plan._replace(total=seconds, fixed=0.1)


def test_renewals_share_the_time_of_their_cycle(rig: Start) -> None:
    radio = rig()
    module = None

    async def cycle(manager: Any) -> None:
        nonlocal module
        from renogybt import devices

        async with manager.lend(ROVER, devices.for_type("RNG_CTRL").gatt) as link:
            module = link
            now = asyncio.get_running_loop().time()
            link.begin(now - 60)
            with pytest.raises(ConnectFailed, match="no time left in this cycle"):
                await link.renew()

    radio.do(cycle)
    assert module is not None
    assert module.terms.failures == 0
    radio.read()


def test_a_cycle_that_is_over_asks_nothing_more(rig: Start) -> None:
    radio = rig()

    async def cycle(manager: Any) -> None:
        from renogybt import devices

        async with manager.lend(ROVER, devices.for_type("RNG_CTRL").gatt) as link:
            link.begin(asyncio.get_running_loop().time() - 100)
            with pytest.raises(ConnectFailed, match="next one starts afresh"):
                await link.exchange(b"", lambda data: data, 1.0)

    radio.do(cycle)
    radio.read()


def test_f65_whatever_fails_the_air_and_the_module_are_free_afterwards(rig: Start) -> None:
    radio = rig()
    faults: list[tuple[str, Any]] = [
        ("StartDiscovery", ("org.bluez.Error.Failed", "no")),
        ("Connect", ("org.bluez.Error.Failed", "no")),
        ("StartNotify", ("org.bluez.Error.Failed", "no")),
        ("WriteValue", ("org.bluez.Error.Failed", "no")),
        ("WriteValue", "ok_but_nothing"),
    ]
    for member, fault in faults:
        radio.do(close_modules)
        radio.fake.rule(member, fault)
        with pytest.raises(LinkError):
            radio.read(answer=1.0)
        (adapter,) = radio.manager.adapters.values()
        assert isinstance(adapter, Adapter)
        assert not adapter.busy
        assert not adapter._air.locked()
        assert not radio.manager.module_of(ROVER).lock.locked()  # type: ignore[union-attr]
        assert not radio.manager.busy
        radio.fake.clear_rules()
        radio.read_until()


async def close_modules(manager: Any) -> None:
    for each in manager._modules.values():
        await each.close()


# Releases


def test_a_released_module_is_free_and_comes_back_by_itself(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.do(lambda manager: manager.free(ROVER, 2 * PATIENCE))
    assert radio.fake.connections() == []
    began = time.monotonic()
    with pytest.raises(Released, match="phone app") as told:
        radio.read()
    assert 0 < told.value.until - began <= 2 * PATIENCE
    began = time.monotonic()
    radio.do(lambda manager: manager.free(ROVER, 1.0))
    radio.read_until()
    assert time.monotonic() - began >= 1.0


def test_a_release_can_be_ended_early_and_asked_for_before_the_first_reading(rig: Start) -> None:
    radio = rig()
    radio.do(lambda manager: manager.free(ROVER, 600.0))
    with pytest.raises(Released, match="10 min"):
        radio.read()
    radio.do(lambda manager: manager.resume(ROVER))
    radio.read()


def test_a_reading_under_way_is_waited_for(rig: Start) -> None:
    radio = rig(scenarios.controller(latency_ms=300.0))
    reading = radio.begin_read()
    radio.until(radio.fake.frames)
    radio.do(lambda manager: manager.free(ROVER, 60.0))
    assert radio.fake.connections() == []
    assert len(reading()) == 4
    with pytest.raises(Released):
        radio.read()


def test_a_reading_that_does_not_end_is_not_waited_for(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lender, "FREE_WAIT", 0.3)
    radio = rig()
    radio.read()
    radio.fake.quirk(scenarios.CONTROLLER, None, "silent")

    async def slow(manager: Any) -> None:
        from renogybt import devices

        async with manager.lend(ROVER, devices.for_type("RNG_CTRL").gatt) as link:
            await link.exchange(bytes(8), lambda data: None, 2 * PATIENCE)

    reading = radio.begin(slow)
    radio.until(lambda: len(radio.fake.frames()) == 2)
    with within(PROMPT):
        radio.do(lambda manager: manager.free(ROVER, 60.0))
        assert radio.fake.connections() == []
        with pytest.raises(LinkError):
            reading()


# What hangs


async def stubborn() -> None:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if getattr(asyncio.current_task(), "end", False):
                raise


def test_a_wedged_call_asks_for_a_new_loop_once(rig: Start) -> None:
    radio = rig()
    radio.read()

    async def wedge(manager: Any) -> None:
        for _ in range(2):
            with pytest.raises(Wedged):
                await bounded(stubborn(), 0.05, "writing to rover")
        for task in asyncio.all_tasks():
            task.end = True  # type: ignore[attr-defined]

    radio.do(wedge)
    assert [(incident.kind, incident.asks) for incident in radio.incidents] == [("new_loop", "new_loop")]
    assert "writing to rover" in radio.incidents[0].text


def test_f60_a_loop_that_stands_still_shows_it_and_can_be_abandoned(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.until(lambda: time.monotonic() - radio.thread.heartbeat < 1.2)
    go_on = threading.Event()

    async def block(manager: Any) -> None:
        go_on.wait(2 * PATIENCE)

    radio.begin(block)
    radio.until(lambda: time.monotonic() - radio.thread.heartbeat > 1.8)
    old = radio.thread
    assert len(radio.ours()) == 2
    with within(PROMPT):
        old.abandon()
    radio.until(lambda: not radio.ours())
    radio.new_thread()
    radio.read_until()
    go_on.set()
    radio.until(lambda: not old.alive)
    radio.until(lambda: len(radio.ours()) == 2)
    assert radio.read()


def test_abandoning_a_thread_that_is_well_ends_it_too(rig: Start) -> None:
    radio = rig()
    radio.read()
    reading = radio.begin_read()
    old = radio.thread
    old.abandon()
    old.abandon()
    with contextlib.suppress(LinkError, asyncio.CancelledError):
        reading()
    radio.until(lambda: not old.alive)
    radio.new_thread()
    radio.read_until()


def test_f61_work_for_a_thread_that_has_ended_is_refused_at_once() -> None:
    class Nothing:
        async def close(self) -> None: ...

        def abandon(self) -> None: ...

    thread = RadioThread(Nothing)
    thread.start()
    assert thread.stop(PATIENCE)
    refused: list[BaseException | None] = []

    async def job(radio: Any) -> None: ...

    thread.submit(job, refused.append)
    assert isinstance(refused[0], Wedged)
    thread.abandon()
    assert thread.stop(1)


def test_f63_stopping_from_inside_does_not_wait_for_itself(rig: Start) -> None:
    radio = rig()
    radio.read()

    async def stop(manager: Any) -> None:
        radio.thread.stop(2 * PATIENCE)

    radio.begin(stop)
    radio.fake.drop_link(scenarios.CONTROLLER)
    radio.until(lambda: not radio.thread.alive)


def test_f49_open_files_that_grow_ask_for_a_new_loop_once(rig: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_file, "FILES_EVERY", 0.0)
    radio = rig()
    radio.read()
    assert radio.incidents == []
    opened = [os.dup(0) for _ in range(80)]
    try:
        radio.read()
        radio.read()
    finally:
        for number in opened:
            os.close(number)
    assert [(incident.kind, incident.asks) for incident in radio.incidents] == [("new_loop", "new_loop")]


# The watchdog's side


def test_everything_is_lost_and_made_anew(rig: Start) -> None:
    radio = rig(*MODULES, wanted=DEVICES)
    for device in DEVICES:
        radio.read(device)
    radio.do(lambda manager: manager.lose_everything("a test"))
    assert not any(radio.manager.connected(device) for device in DEVICES)
    for device in DEVICES:
        with within(PROMPT):
            radio.read(device)
    radio.until(lambda: len(radio.ours()) == 4)
    assert len(radio.members("Connect")) == 6


def test_losing_everything_in_the_middle_of_a_reading_fails_it_at_once(rig: Start) -> None:
    radio = rig()
    radio.read()
    radio.fake.quirk(scenarios.CONTROLLER, None, "silent", times=1)
    reading = radio.begin_read(answer=2 * PATIENCE)
    radio.until(lambda: len(radio.fake.frames()) == 2)
    with within(PROMPT):
        radio.do(lambda manager: manager.lose_everything("a test"))
        with pytest.raises(LinkError) as told:
            reading()
    assert not isinstance(told.value, NoAnswer)
    radio.read()


def test_the_watchdog_runs_from_the_first_lend_and_is_started_anew_if_it_dies(
    rig: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    from renogybt.ble import watchdog

    runs: list[Any] = []

    class Dying(watchdog.Watchdog):
        async def run(self) -> None:
            runs.append(self)
            raise RuntimeError("a fault nobody foresaw")

    monkeypatch.setattr(watchdog, "Watchdog", Dying)
    radio = rig(watchdog=Watchdog())
    for _ in range(2):
        radio.read()
        time.sleep(0.05)
    assert len(runs) == 2
    assert radio.kinds() == ["thread"]
    assert "a fault nobody foresaw" in radio.incidents[0].text


def test_with_its_watchdog_everything_ends_too(rig: Start) -> None:
    radio = rig(watchdog=Watchdog(interval=1))
    radio.read()
    time.sleep(0.3)
    assert radio.manager.wanted == {""}
    assert radio.manager.longest_scan == QUICK.discovery_timeout
