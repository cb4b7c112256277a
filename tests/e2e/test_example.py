"""From config.ini over the real bleak backend into a real broker, program against peers."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import Program, wait_until
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.scenario import Adapter, Module
from tests.peers.fixtures import FakeBlueZ
from tests.peers.mosquitto import Listener, Mosquitto, kept


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def mqtt(broker: Mosquitto, **more: object) -> str:
    options = {"enabled": "true", "server": "127.0.0.1", "port": broker.port, "topic": "solar/state", **more}
    return "[mqtt]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


def device(address: str, type: str, ids: str = "255", name: str = "", **more: object) -> str:
    options = {"mac_addr": address, "type": type, "device_id": ids, **more}
    section = f"device.{name}" if name else "device"
    return f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


def data(polling: bool, interval: float = 1, **more: object) -> str:
    options = {"enable_polling": str(polling).lower(), "poll_interval": interval, **more}
    return "[data]\n" + "".join(f"{key} = {value}\n" for key, value in options.items())


HUB = device(scene.BATTERIES, "RNG_BATT", "48,49,50,51", alias="hub")
ROVER = device(scene.CONTROLLER, "RNG_CTRL", alias="rover")


def expected(frame: str) -> dict[str, Any]:
    return dict(scene.captured(frame)["expected"])


def latest(ears: Listener, topic: str) -> dict[str, Any]:
    return dict(json.loads(ears.wait_for(topic, timeout=60)))


def nothing_left(fake: Any) -> None:
    """No link, no scan, no D-Bus connection of ours, and nothing forbidden on the air."""
    wait_until(lambda: not fake.clients(), what="D-Bus connections closed")
    wait_until(lambda: not fake.connections() and not fake.sessions(), what="links and scans ended")
    assert fake.violations() == []


def test_every_family_once_for_cron(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.everything())
    ini = (
        device(scene.CONTROLLER, "RNG_CTRL", name="rover")
        + device(scene.CONTROLLER, "RNG_CTRL_HIST", name="past")
        + device(scene.PRO, "RNG_BATT", "48", name="pro")
        + device(scene.DCDC, "RNG_DCC", name="dcdc")
        + device(scene.INVERTER, "RNG_INVT", "32", name="inverter")
        + device(scene.RIV4835, "RNG_INVT", "32", name="riv")
        + device(scene.SHUNT, "RNG_SHNT", name="shunt")
        + device(scene.HUB, "RNG_CTRL", "96", name="mixed")
        + device(scene.HUB, "RNG_BATT", "48,49", name="mixedpacks")
        + data(False)
        + mqtt(broker)
    )
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake) as program:
        assert program.ended() == 0
        wanted = {
            "rover_255": expected("rvr40-dynamic") | {"model": "RNG-CTRL-RVR40", "battery_type": "lithium", "device_id": 16},
            "pro_48": expected("rngrbp-pack"),
            "dcdc_255": expected("dcc50s-status"),
            "inverter_32": expected("riv1220-main") | expected("riv1220-charging"),
            "riv_32": expected("riv4835-main") | expected("riv4835-charging") | {"model": None, "battery_current": 49.5},
            "mixed_96": {"battery_voltage": 14.4, "device_id": 96},
            "mixedpacks_49": {"voltage": 13.4, "current": 2.98, "device_id": 49},
        }
        for name, values in wanted.items():
            found = latest(ears, f"solar/state/{name}")
            assert {key: found[key] for key in values} == values, name
        past = latest(ears, "solar/state/past_255")
        assert past["daily_power_generation"][-1] == 1344
        assert len(past["daily_power_generation"]) == 7
        assert past["daily"][0]["date"] == time.strftime("%Y-%m-%d")
        assert latest(ears, "solar/state/shunt_255")["charge_amps"] == -5.4
    assert len(fake.calls("StartDiscovery")) == 1
    nothing_left(fake)


def test_four_batteries_behind_a_hub_give_every_published_name(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path
) -> None:
    fake = fake_bluez(scene.scenario(scene.batteries()))
    ini = HUB + data(True) + mqtt(broker, homeassistant_discovery="true")
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake) as program:
        ears.wait(lambda: len(ears.on("solar/state/hub_combined")) >= 3, 60)
        for pack in scene.PACKS:
            found = latest(ears, f"solar/state/hub_{pack.unit}")
            assert found["voltage"] == pack.voltage
            assert found["current"] == pack.current
            assert found["power"] == pytest.approx(pack.voltage * pack.current, abs=0.01)
            assert found["battery_level"] == round(pack.remaining / pack.capacity * 100, 2)
            assert found["remaining_charge"] == pack.remaining
            assert found["capacity"] == pack.capacity
            assert found["energy_in_kwh"] >= 0
            assert found["energy_out_kwh"] >= 0
            assert found["device_id"] == pack.unit
        bank = latest(ears, "solar/state/hub_combined")
        sums = {
            f"combined_{k}" for k in ("voltage", "current", "power", "charge_percentage", "remaining_charge", "capacity")
        }
        sums |= {"combined_energy_in_kwh", "combined_energy_out_kwh"}
        assert sums <= set(bank)
        assert bank["combined_current"] == round(sum(pack.current for pack in scene.PACKS), 2)
        for pack in scene.PACKS:
            assert bank[f"battery_{pack.unit}_cell_voltage_min"] == min(pack.cells)
            assert bank[f"battery_{pack.unit}_cell_voltage_max"] == max(pack.cells)
            assert bank[f"battery_{pack.unit}_temperature_min"] == min(pack.temperatures)
            assert bank[f"battery_{pack.unit}_temperature_max"] == max(pack.temperatures)
        configs = [topic for topic in kept(broker.port) if topic.endswith("/config")]
        assert len(configs) == 6
        code, seconds = program.end()
        assert code == 0
        assert seconds < 10
    assert len(fake.calls("StartDiscovery")) == 1
    assert len(fake.calls("Connect")) == 1
    assert broker.log.count("as renogybt-") == 1
    nothing_left(fake)


def test_one_device_without_discovery_publishes_to_the_topic_itself(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path
) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Listener(broker.port) as ears, Program(tmp_path, ROVER + data(True) + mqtt(broker), fake) as program:
        found = latest(ears, "solar/state")
        assert found["battery_voltage"] == 14.4
        assert found["power_generation_total"] == 65936
        assert found["__device"] == "BT-TH-66EDFC11"
        assert found["__client"] == "RoverClient"
        assert found["function"] == "READ"
        assert not [message.topic for message in ears.messages if message.topic.startswith("homeassistant/")]
        program.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_cleanly(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path, number: int) -> None:
    fake = fake_bluez(scene.scenario(scene.batteries()))
    ini = HUB + data(True) + mqtt(broker, homeassistant_discovery="true")
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake) as program:
        ears.wait(lambda: len(ears.on("solar/state/hub_combined")) >= 3, 60)
        code, seconds = program.end(number)
        assert code == 0
        assert seconds < 10
        assert ears.wait_for("solar/state/bridge/availability", "offline") == "offline"
        assert ears.wait_for("solar/state/hub_48/availability", "offline") == "offline"
    totals = json.loads((tmp_path / "energy_totals.json").read_text())
    assert totals["c464e3383d0e_48"]["energy_in_kwh"] > 0
    assert totals["c464e3383d0e_50"]["energy_out_kwh"] > 0
    nothing_left(fake)


def test_a_stop_in_the_middle_of_a_silence_is_clean_too(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    fake.rule("Connect", "hang")
    with Listener(broker.port) as ears, Program(tmp_path, ROVER + data(True) + mqtt(broker), fake) as program:
        ears.wait_for("solar/state/bridge/availability", "online", 60)
        wait_until(lambda: fake.calls("Connect"), what="a connection attempt")
        code, seconds = program.end()
        assert code == 0
        assert seconds < 10
        ears.wait_for("solar/state/bridge/availability", "offline")


def test_a_missing_device_is_an_error_with_a_plain_reason(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.batteries()))
    ini = device("60:98:66:00:00:01", "RNG_CTRL", name="gone") + device(scene.BATTERIES, "RNG_BATT", "48", name="pack")
    with Listener(broker.port) as ears, Program(tmp_path, ini + data(False) + mqtt(broker), fake) as program:
        assert program.ended(90) == 1
        assert "gone_255 could not be read" in program.output
        assert "was not seen in 30 s of scanning" in program.output
        assert "BT-TH-" in program.output
        assert "phone app" in program.output
        assert latest(ears, "solar/state/pack_48")["voltage"] == 13.3
    nothing_left(fake)


def test_a_wrong_id_says_so(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.batteries()))
    with Program(tmp_path, device(scene.BATTERIES, "RNG_BATT", "40") + data(False), fake) as program:
        assert program.ended() == 1
        assert "is device_id right?" in program.output


def test_no_bluetooth_at_all_says_what_to_do(tmp_path: Path) -> None:
    with Program(tmp_path, ROVER + data(False), None) as program:
        assert program.ended() == 1
        assert "no connection to the system D-Bus, so no Bluetooth on this machine" in program.output
        assert "Traceback" not in program.output


def test_a_broken_configuration_touches_neither_radio_nor_network(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path
) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    ini = "[device]\nmac_addr = 12:34\ntype = RNG_CTLR\ndevice_id = 300\n" + data(False) + mqtt(broker, prot="1")
    with Program(tmp_path, ini, fake) as program:
        assert program.ended() == 2
        for word in ("mac_addr", "12:34", "RNG_CTLR", "RNG_CTRL", "300", "prot", "did you mean"):
            assert word in program.output
    assert fake.calls() == []
    assert "New client connected" not in broker.log


def test_a_dead_id_goes_offline_and_its_neighbours_stay(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.batteries()))
    fake.quirk(scene.BATTERIES, 49, "silent")
    ini = HUB + data(True) + mqtt(broker, homeassistant_discovery="true")
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake):
        ears.wait_for("solar/state/hub_49/availability", "offline", 60)
        ears.wait(lambda: len(ears.on("solar/state/hub_51")) >= 3, 60)
        assert latest(ears, "solar/state/hub_51")["current"] == 0.0
        bank = latest(ears, "solar/state/hub_combined")
        assert bank["combined_current"] is None
        assert bank["batteries_online"] == 3
        assert not ears.on("solar/state/hub_49")


def test_a_broken_link_is_mended_and_no_wrong_value_gets_out(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path
) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Listener(broker.port) as ears, Program(tmp_path, ROVER + data(True) + mqtt(broker), fake):
        ears.wait_for("solar/state", timeout=60)
        for kind, more in (
            ("late", {"value": 3.0, "times": 1}),
            ("corrupt_crc", {"times": 1}),
            ("wrong_unit", {"value": 9, "times": 1}),
            ("junk", {"value": "ff0344ff03", "times": 2}),
            ("truncate", {"value": 11, "times": 1}),
            ("repeat", {"times": 2}),
            ("drop", {"times": 1}),
        ):
            fake.quirk(scene.CONTROLLER, None, kind, **more)
            heard = len(ears.on("solar/state"))
            ears.wait(lambda heard=heard: len(ears.on("solar/state")) >= heard + 3, 60)
        fake.drop_link(scene.CONTROLLER)
        heard = len(ears.on("solar/state"))
        ears.wait(lambda: len(ears.on("solar/state")) >= heard + 2, 60)
        truth = expected("rvr40-dynamic")
        for payload in ears.on("solar/state"):
            values = json.loads(payload)
            assert all(values[key] in (truth[key], None) for key in truth), payload


def test_per_read_frees_the_module_between_readings(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    ini = device(scene.CONTROLLER, "RNG_CTRL", alias="rover", connection="per_read") + data(True, 2) + mqtt(broker)
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake):
        ears.wait(lambda: len(ears.on("solar/state")) >= 3, 60)
        wait_until(lambda: not fake.connections(), what="the module is free")
        assert len(fake.calls("Connect")) >= 3
        assert len(fake.calls("StartDiscovery")) == 1


def test_a_link_left_by_a_killed_run_is_freed_first(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(connected=True)))
    with Program(tmp_path, ROVER + data(False), fake) as program:
        assert program.ended() == 0
        assert "still connected from an earlier run" in program.output
    order = [call["member"] for call in fake.calls() if call["member"] in ("Connect", "Disconnect")]
    assert order[:2] == ["Disconnect", "Connect"]
    nothing_left(fake)


def test_killed_and_started_again(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Program(tmp_path, ROVER + data(True), fake) as program:
        program.says("rover_255 =>")
        os.kill(program.pid, signal.SIGKILL)
    assert fake.connections()
    with Program(tmp_path, ROVER + data(False), fake) as program:
        assert program.ended() == 0


def test_the_address_decides_not_the_name(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    twin = scene.controller(address="60:98:66:AA:AA:AA", name="BT-TH-66EDFC11", rssi=-30)
    fake = fake_bluez(scene.scenario(twin, scene.controller()))
    ini = device(scene.CONTROLLER, "RNG_CTRL", alias="BT-TH-66EDFC11") + data(False)
    with Program(tmp_path, ini, fake) as program:
        assert program.ended() == 0
    (connect,) = fake.calls("Connect")
    assert connect["path"].endswith(scene.CONTROLLER.replace(":", "_"))


def test_without_an_address_the_name_is_enough(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(name="BT-TH-66EDFC11   ")))
    ini = "[device]\nalias = BT-TH-66EDFC11\ntype = RNG_CTRL\n" + data(False)
    with Program(tmp_path, ini, fake) as program:
        assert program.ended() == 0
        assert '"battery_voltage": 14.4' in program.output


def test_the_adapter_is_honoured(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    second = Adapter(name="hci1", address="B8:27:EB:00:00:02")
    fake = fake_bluez(scene.scenario(scene.controller(adapters=["hci1"]), adapters=[Adapter(), second]))
    ini = device(scene.CONTROLLER, "RNG_CTRL", adapter="hci1") + data(False)
    with Program(tmp_path, ini, fake) as program:
        assert program.ended() == 0
    assert {call["path"] for call in fake.calls("StartDiscovery")} == {"/org/bluez/hci1"}


def test_a_slow_device_does_not_delay_the_others(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    def slow(module: Module) -> Module:
        module.latency_ms = 700.0
        return module

    fake = fake_bluez(scene.scenario(slow(scene.controller()), scene.batteries()))
    ini = (
        device(scene.CONTROLLER, "RNG_CTRL", name="slow")
        + device(scene.BATTERIES, "RNG_BATT", "48", name="quick")
        + data(True, 1)
        + mqtt(broker)
    )
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake):
        ears.wait(lambda: ears.on("solar/state/slow_255"), 90)
        order = [heard.topic for heard in ears.messages]
        meanwhile = order[: order.index("solar/state/slow_255")].count("solar/state/quick_48")
        assert meanwhile >= 4  # ten on an idle machine; in turn with the other, one


def test_readings_survive_a_broker_that_comes_late(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    broker.stop()
    with Program(tmp_path, ROVER + data(True) + mqtt(broker), fake) as program:
        wait_until(lambda: len(fake.frames(scene.CONTROLLER)) > 8, what="readings without a broker")
        program.says(f"127.0.0.1:{broker.port}")
        broker.start()
        with Listener(broker.port) as ears:
            assert latest(ears, "solar/state")["battery_voltage"] == 14.4


def test_a_single_run_without_its_broker_fails_with_the_reason(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path
) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    broker.stop()
    with Program(tmp_path, ROVER + data(False) + mqtt(broker), fake) as program:
        assert program.ended() == 1
        assert "not everything was delivered" in program.output
        assert f"127.0.0.1:{broker.port}" in program.output


def test_an_inverter_and_a_battery_behind_one_module_share_its_connection(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path
) -> None:
    both = scene.inverter(address=scene.HUB, name="BT-TH-E3383D60", preset="bt2", wake=False)
    both.units.append(scene.battery_unit(scene.PACKS[0]))
    fake = fake_bluez(scene.scenario(both))
    ini = (
        device(scene.HUB, "RNG_BATT", "48", name="pack")
        + device(scene.HUB, "RNG_INVT", "32", name="inverter")
        + data(True, 3)
        + mqtt(broker)
    )
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake) as program:
        ears.wait(lambda: len(ears.on("solar/state/inverter_32")) >= 3, 60)
        assert latest(ears, "solar/state/pack_48")["voltage"] == 13.3
        assert latest(ears, "solar/state/inverter_32")["battery_voltage"] == 40.1
        program.end()
    assert len(fake.calls("Connect")) == 1
    nothing_left(fake)


def test_a_restarted_bluetoothd_is_noticed(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Listener(broker.port) as ears, Program(tmp_path, ROVER + data(True) + mqtt(broker), fake):
        ears.wait_for("solar/state", timeout=60)
        fake.die()
        time.sleep(3)
        fake.restart(announce=False)
        heard = len(ears.on("solar/state"))
        ears.wait(lambda: len(ears.on("solar/state")) >= heard + 3, 60)


def test_what_bluez_remembers_wrongly_is_looked_for_anew(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Program(tmp_path, ROVER + data(False), fake) as program:
        assert program.ended() == 0
    fake.clear_log()
    fake.rule("Connect", ("org.bluez.Error.Failed", "le-connection-timeout"), times=1)
    with Program(tmp_path, ROVER + data(False), fake) as program:
        assert program.ended() == 0
    assert len(fake.calls("StartDiscovery")) == 1
    assert len(fake.calls("Connect")) == 2


@pytest.mark.parametrize("members", [("Connect", "Disconnect"), ("StopDiscovery",), ("StartDiscovery",), ("WriteValue",)])
def test_it_stops_within_ten_seconds_whatever_hangs(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path, members: tuple[str, ...]
) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    for member in members:
        fake.rule(member, "hang")
    with Listener(broker.port) as ears, Program(tmp_path, ROVER + data(True) + mqtt(broker), fake) as program:
        wait_until(lambda: fake.calls(members[0]), what=f"a call of {members[0]}")
        time.sleep(0.5)
        code, seconds = program.end()
        assert code == 0
        assert seconds < 10
        ears.wait_for("solar/state/bridge/availability", "offline")


def test_a_single_run_says_that_it_is_no_device_for_home_assistant(tmp_path: Path) -> None:
    with Program(tmp_path, ROVER + data(False) + "[home_assistant_proxy]\nenabled = true\n", None) as program:
        assert program.ended() == 1
        assert "set enable_polling = true in [data]" in program.output
