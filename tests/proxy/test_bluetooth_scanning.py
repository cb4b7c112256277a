"""Advertisements from the fake BlueZ, through the real bleak and the node, to the client that Home Assistant uses."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi import BluetoothScannerMode, BluetoothScannerState

from tests.ble.rig import ROVER, Start
from tests.peers.bluez import scenarios
from tests.peers.bluez.scenario import Adapter, Beacon
from tests.proxy.given import KEY, Client, until
from tests.proxy.lent import Listening, client, lent, number, quiet, run

THERMOMETER = Beacon(
    address="A4:C1:38:01:02:03",
    address_type="public",
    name="ATC_010203",
    uuids=[0x181A],
    service_data={"0000181a-0000-1000-8000-00805f9b34fb": "a4c13801020300ea2e640bb1"},
    tx_power=-4,
    flags="06",
    rssi=-77,
)
PHONE = Beacon(address="5B:00:11:22:33:44", manufacturer={0x004C: "10052b1c8a11"}, rssi=-50)
LAMP = Beacon(
    address="D0:00:00:00:00:07",
    name="A lamp with a name that is far too long for any advertisement of this world",
    uuids=["0000fe0f-0000-1000-8000-00805f9b34fb", "932c32bd-0000-47a2-835a-a8d455b859dd"],
)
RUNNING, FAILED = BluetoothScannerState.RUNNING, BluetoothScannerState.FAILED
ACTIVE, PASSIVE = BluetoothScannerMode.ACTIVE, BluetoothScannerMode.PASSIVE


@pytest.mark.parametrize("key", ["", KEY])
def test_advertisements_arrive_as_they_were(rig: Start, tmp_path: Path, key: str) -> None:
    radio = rig(scenarios.controller(rssi=-60), beacons=[THERMOMETER, PHONE, LAMP])
    with lent(radio, tmp_path, key) as house:

        async def work() -> dict[str, Any]:
            async with client(house) as api:
                info = await api.device_info()
                assert info.bluetooth_mac_address == "B8:27:EB:00:00:01"
                assert info.bluetooth_proxy_feature_flags == 127
                listening = Listening(api)
                beacons = (THERMOMETER.address, PHONE.address, LAMP.address, scenarios.CONTROLLER)
                heard = {address: await listening.first(address) for address in beacons}
                await until(lambda: len(listening.of(PHONE.address)) > 20)
                assert max(listening.batches) <= 16
                return heard

        heard = run(work())
    assert heard[THERMOMETER.address][2] == 0
    assert abs(heard[THERMOMETER.address][1] + 77) <= 2
    assert heard[THERMOMETER.address][3].hex() == (
        "020106" + "0f161a18a4c13801020300ea2e640bb1" + "03031a18" + "020afc" + "0b094154435f303130323033"
    )
    assert heard[PHONE.address][2] == 1
    assert heard[PHONE.address][3].hex() == "09ff4c0010052b1c8a11"
    lamp = heard[LAMP.address][3]
    assert lamp[:22].hex() == "03030ffe" + "1107dd59b855d4a85a83a247" + "0000bd322c93"
    assert len(lamp) == 62
    assert lamp[22:24] == bytes((39, 0x08))
    assert lamp[24:] == LAMP.name[:38].encode()
    assert heard[scenarios.CONTROLLER][3].hex() == "07ff609866edfc11" + "0303d0ff" + "0f09" + b"BT-TH-66EDFC11".hex()


def test_only_what_is_heard_is_passed_on(rig: Start, tmp_path: Path) -> None:
    """News of a device that are no advertisement, and what BlueZ remembers of devices that are gone."""
    radio = rig(scenarios.controller(advertising=False), beacons=[PHONE], crowd=20)
    unheard = Beacon(address="5B:00:11:22:33:55", manufacturer={1: "01"}, advertising=False)
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await listening.first(PHONE.address)
                radio.fake.beacon(PHONE.__class__(**{**_fields(PHONE), "advertising": False}))
                before = await quiet(listening.heard)
                for value in (True, False):
                    radio.fake.property(PHONE.address, "Connected", "b", value)
                    radio.fake.property(PHONE.address, "ServicesResolved", "b", value)
                radio.fake.property(PHONE.address, "Alias", "s", "phone")
                radio.fake.beacon(unheard)
                await asyncio.sleep(0.3)
                assert listening.heard[before:] == []
                assert {each[0] for each in listening.heard} == {number(PHONE.address)}
                radio.fake.property(PHONE.address, "RSSI", "n", -44)
                await until(lambda: len(listening.heard) > before)
                assert listening.of(PHONE.address)[-1][1] == -44

        run(work())


def _fields(beacon: Beacon) -> dict[str, Any]:
    return {name: getattr(beacon, name) for name in beacon.__struct_fields__}


def test_the_adapter_itself_is_no_news(rig: Start, tmp_path: Path) -> None:
    radio = rig(beacons=[PHONE, Beacon(address="B8:27:EB:00:00:01", manufacturer={1: "01"})])
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await until(lambda: len(listening.of(PHONE.address)) > 5)
                assert listening.of("B8:27:EB:00:00:01") == []

        run(work())


def test_scanning_lasts_as_long_as_somebody_listens(rig: Start, tmp_path: Path) -> None:
    radio = rig(beacons=[PHONE])
    with lent(radio, tmp_path) as house:
        time.sleep(0.2)
        assert radio.fake.sessions() == []

        async def work() -> None:
            async with client(house) as one, client(house) as two:
                first, second = Listening(one), Listening(two)
                await first.first(PHONE.address)
                await second.first(PHONE.address)
                assert len(radio.fake.sessions()) == 1
                first.stop()
                before = await quiet(first.heard), len(second.heard)
                await until(lambda: len(second.heard) > before[1] + 5)
                assert len(first.heard) == before[0]

        run(work())
        house.wait(lambda: not radio.fake.sessions())
    assert radio.members("StartDiscovery", "StopDiscovery") == ["StartDiscovery", "StopDiscovery"]


def test_the_client_is_told_what_the_scanner_does(rig: Start, tmp_path: Path) -> None:
    radio = rig(beacons=[PHONE])
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await until(lambda: bool(listening.states) and listening.states[-1].state == RUNNING)
                assert (listening.states[-1].mode, listening.states[-1].configured_mode) == (ACTIVE, ACTIVE)
                before = len(listening.states)
                api.bluetooth_scanner_set_mode(ACTIVE)
                await until(lambda: len(listening.states) > before)
                assert listening.states[-1].mode == ACTIVE

        run(work())


def test_passive_scanning(rig: Start, tmp_path: Path) -> None:
    radio = rig(beacons=[PHONE], adapters=[Adapter(monitors=True)])
    with lent(radio, tmp_path, scan_mode="passive") as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await listening.first(PHONE.address)
                assert radio.fake.sessions() == []
                assert radio.members("StartDiscovery", "RegisterMonitor") == ["RegisterMonitor"]
                state = listening.states[-1]
                assert (state.state, state.mode, state.configured_mode) == (RUNNING, PASSIVE, PASSIVE)
                api.bluetooth_scanner_set_mode(ACTIVE)
                await until(lambda: bool(radio.fake.sessions()))
                await until(lambda: listening.states[-1].mode == ACTIVE)
                assert listening.states[-1].configured_mode == PASSIVE
                before = len(listening.heard)
                await until(lambda: len(listening.heard) > before + 5)

        run(work())


def test_a_bluez_that_cannot_listen_passively(rig: Start, tmp_path: Path) -> None:
    radio = rig(beacons=[PHONE])
    with lent(radio, tmp_path, scan_mode="passive") as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await listening.first(PHONE.address)
                await until(lambda: listening.states[-1].state == RUNNING)
                assert (listening.states[-1].mode, listening.states[-1].configured_mode) == (ACTIVE, PASSIVE)

        run(work())


def test_our_own_reading_beside_it(rig: Start, tmp_path: Path) -> None:
    """The search for our module is served by the scan that runs; only the connection interrupts it."""
    radio = rig(beacons=[PHONE])
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await listening.first(PHONE.address)
                assert await asyncio.to_thread(radio.read, ROVER)
                await until(lambda: bool(radio.fake.sessions()))
                await asyncio.sleep(0.3)
                radio.fake.clear_log()
                before = len(listening.heard)
                for _ in range(5):
                    assert await asyncio.to_thread(radio.read, ROVER)
                await until(lambda: len(listening.heard) > before + 5)
                assert radio.members("StartDiscovery", "StopDiscovery", "Connect") == []

        run(work())
        shares = house.figures()["air_time"]
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["scanning"] > 0.3
        assert 0 < shares["connecting"] < 0.7
    assert radio.fake.violations() == []


def test_pausing_while_modules_are_read(rig: Start, tmp_path: Path) -> None:
    slow = scenarios.controller(latency_ms=300)
    radio = rig(slow, beacons=[PHONE])
    with lent(radio, tmp_path, pause_during_renogy=True) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await listening.first(PHONE.address)
                await asyncio.to_thread(radio.read, ROVER)
                await until(lambda: bool(radio.fake.sessions()))
                radio.fake.clear_log()
                reading = radio.begin_read(ROVER)
                await asyncio.to_thread(reading, 60)
                await until(lambda: bool(radio.fake.sessions()))
                frames = radio.fake.frames()
                assert radio.fake.events("idle")[0]["t"] < frames[0]["done"]
                assert radio.fake.events("discovering")[0]["t"] > frames[-1]["t"]
                before = len(listening.heard)
                await until(lambda: len(listening.heard) > before + 3)

        run(work())


def test_pauses_as_the_settings_want_them(rig: Start, tmp_path: Path) -> None:
    radio = rig(beacons=[PHONE])
    with lent(radio, tmp_path, scan_active_seconds=0.3, scan_idle_seconds=0.6) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await listening.first(PHONE.address)
                await until(lambda: len(radio.fake.events("discovering")) >= 4)

        run(work())
        turns = [event["t"] for event in radio.fake.events("discovering")]
        assert turns[3] - turns[0] > 3 * 0.7  # the pauses and the scans between them; a little less than they are
        assert 0.1 < house.figures()["air_time"]["scanning"] < 0.6


def test_a_scan_that_cannot_begin_is_tried_again(rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from renogybt.ble import listening as module

    monkeypatch.setattr(module, "RETRY", 0.3)
    radio = rig(beacons=[PHONE])
    radio.fake.rule("StartDiscovery", ("org.bluez.Error.Failed", "not now"), times=2)
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await until(lambda: any(state.state == FAILED for state in listening.states))
                await listening.first(PHONE.address)
                assert listening.states[-1].state == RUNNING

        run(work())


def test_listening_goes_on_after_bluetoothd_and_adapter_were_away(rig: Start, tmp_path: Path) -> None:
    radio = rig(beacons=[PHONE])
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                listening = Listening(api)
                await listening.first(PHONE.address)
                radio.fake.set_powered(False)
                await asyncio.sleep(0.2)
                radio.fake.set_powered(True)
                before = len(listening.heard)
                await until(lambda: len(listening.heard) > before + 3)
                radio.fake.restart()

                async def lose(manager: Any) -> None:
                    await manager.lose_everything("bluetoothd is another one")

                await asyncio.to_thread(radio.do, lose)
                await asyncio.sleep(0.2)
                before = len(listening.heard)
                await until(lambda: len(listening.heard) > before + 3)

        run(work())
        house.wait(lambda: house.adapter.scanning_since is None and not radio.fake.sessions())


def test_an_adapter_that_comes_late(rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients learn only when connecting which adapter it is, so they are sent away once."""
    from renogybt.proxy import bluetooth

    monkeypatch.setattr(bluetooth, "FIRST_LOOK", 0.3)
    monkeypatch.setattr(bluetooth, "RETRY", 0.2)
    radio = rig(adapters=[], beacons=[PHONE])
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with Client(house.node) as found:
                assert (await found.api.device_info()).bluetooth_proxy_feature_flags == 0
                radio.fake.add_adapter(Adapter())
                await asyncio.wait_for(found.left.wait(), 40)
            async with client(house) as api:
                assert (await api.device_info()).bluetooth_proxy_feature_flags == 127
                await Listening(api).first(PHONE.address)

        run(work())


def test_silence_is_noticed_and_the_scan_begun_anew(rig: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from renogybt.ble import hearing, listening

    monkeypatch.setattr(hearing, "QUIET", 0.5)
    monkeypatch.setattr(hearing, "SILENCE", 0.3)
    monkeypatch.setattr(listening, "CHECK", 0.1)
    radio = rig(scenarios.controller(advertising=False))
    with lent(radio, tmp_path) as house:

        async def work() -> None:
            async with client(house) as api:
                Listening(api)
                await until(lambda: house.adapter.silent_scans >= 2)
                await until(lambda: len(radio.fake.calls("StartDiscovery")) >= 3)
                radio.fake.beacon(PHONE)
                await until(lambda: house.adapter.silent_scans == 0)

        run(work())


def test_a_thousand_a_second(rig: Start, tmp_path: Path) -> None:
    rate, seconds = 1000, 6
    radio = rig(scenarios.controller(advertising=False), adv_interval_s=1)
    with lent(radio, tmp_path) as house:

        async def work() -> tuple[Listening, float]:
            async with client(house) as api:
                listening = Listening(api)
                await until(lambda: bool(radio.fake.sessions()))
                before = await asyncio.to_thread(house.cpu_seconds)
                radio.fake.flood(100, rate, seconds)
                await until(lambda: not radio.fake.flooded()[0], seconds + 60)
                sent = radio.fake.flooded()[1]
                await until(lambda: len(listening.heard) >= sent)
                return listening, await asyncio.to_thread(house.cpu_seconds) - before

        listening, spent = run(work())
        sent = radio.fake.flooded()[1]
        assert sent >= 0.5 * rate * seconds
        counts = [int.from_bytes(each[3][4:8], "big") for each in listening.heard]
        assert sorted(counts) == list(range(sent))
        assert max(listening.batches) == 16
        share = spent / seconds
        print(f"\n{sent / seconds:.0f} advertisements/s: {share:.0%} of one core, {1e6 * spent / sent:.0f} us each")
        assert share < 0.5
        assert house.figures()["advertisements_dropped"] == 0
