"""What the bridge adds to a reading: energy of all time and of today, and no counter that jumps. Virtual time throughout."""

import json
import logging
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from renogybt import devices
from renogybt.energy.totals import EnergyTotals
from renogybt.errors import UserError
from renogybt.reading import Identity, Reading
from renogybt.service.enrich import Enricher
from renogybt.settings import Data, Device, Settings

ROOF = Device(mac_addr="80:6F:B0:0F:12:34", alias="roof", type="RNG_CTRL")
HOUSE = Device(section="device.house", mac_addr="C4:64:E3:38:3D:0E", alias="house", type="RNG_BATT", device_id=(48, 49))
SHUNT = Device(section="device.shunt", mac_addr="C4:64:E3:00:00:01", alias="shunt", type="RNG_SHNT")
ZONE = "Europe/Amsterdam"


class Bridge:
    """A day in the life of an Enricher: `at` is the local time, `set_clock` sets the wall clock as NTP would."""

    def __init__(self, path: Path, at: str, **data: Any) -> None:
        self.path, self.data = path, Data(**{"timezone": ZONE, "poll_interval": 60, **data})
        self.wall = datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(ZONE)).timestamp()
        self.start()

    def start(self, monotonic: float = 20.0) -> None:
        self.totals = EnergyTotals(self.path)
        self.enricher = Enricher(Settings(devices=(ROOF, HOUSE, SHUNT), data=self.data), self.totals)
        self.monotonic = monotonic

    def restart(self, hours: float = 0.0, monotonic: float = 20.0) -> None:
        """Stop cleanly, and start `hours` later."""
        self.totals.flush()
        self.wall += hours * 3600
        self.start(monotonic)

    def wait(self, seconds: float = 60) -> None:
        self.wall, self.monotonic = self.wall + seconds, self.monotonic + seconds

    def set_clock(self, hours: float) -> None:
        self.wall += hours * 3600

    def read(self, device: Device, unit: int | None, family: str, **values: Any) -> Reading:
        identity = Identity(device.mac_addr, unit, device.alias, len(device.device_id) > 1)
        whole = devices.family(family).complete(values)
        return self.enricher.enrich(Reading(identity, family, whole, self.wall, self.monotonic), device)

    def battery(self, amperes: float | None, unit: int = 48) -> Reading:
        volts = 10.0
        watts = None if amperes is None else volts * amperes
        return self.read(HOUSE, unit, "battery", voltage=volts, current=amperes, power=watts)

    def bank(self) -> dict[str, Any]:
        return dict(self.read(HOUSE, None, "bank:48,49").values)

    def roof(self, **values: Any) -> Reading:
        return self.read(ROOF, 255, "controller", **values)

    def run(self, hours: float, amperes: float = 10.0) -> dict[str, Any]:
        """Read battery 48 once a minute; the last values."""
        found: dict[str, Any] = {}
        for _ in range(round(hours * 60)):
            self.wait()
            found = dict(self.battery(amperes).values)
        return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "energy_totals.json"


def test_a_battery_has_its_energy_of_all_time_and_of_today(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T10:00")
    bridge.battery(10)
    assert bridge.run(2)["energy_in_kwh"] == pytest.approx(0.2)
    bridge.run(0.1, amperes=0)
    found = bridge.run(1, amperes=-10)
    assert found["energy_out_kwh"] == pytest.approx(0.1, abs=0.002)
    assert found["energy_out_today_kwh"] == found["energy_out_kwh"]
    assert found["energy_in_today_kwh"] == found["energy_in_kwh"]


def test_a_shunt_has_them_too(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T10:00")
    for _ in range(61):
        found = bridge.read(SHUNT, 255, "shunt", main_battery_voltage=10.0, charge_amps=-60.0).values
        bridge.wait()
    assert found["energy_out_kwh"] == found["energy_out_today_kwh"] == pytest.approx(0.6)
    assert found["energy_in_today_kwh"] == 0


def test_at_local_midnight_today_begins_at_zero_and_the_total_goes_on(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T22:59")
    before = bridge.run(1)
    after = bridge.run(1)
    assert before["energy_in_today_kwh"] == pytest.approx(0.1, abs=0.003)
    assert after["energy_in_today_kwh"] == pytest.approx(0.1, abs=0.003)
    assert after["energy_in_kwh"] == pytest.approx(before["energy_in_today_kwh"] + after["energy_in_today_kwh"])


def test_today_turns_at_the_reset_hour(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T21:30", reset_hour=23)
    bridge.run(1.45)
    assert bridge.run(1)["energy_in_today_kwh"] == pytest.approx(0.1, abs=0.006)
    assert bridge.run(22.9)["energy_in_today_kwh"] == pytest.approx(2.385, abs=0.006)
    assert bridge.run(0.6)["energy_in_today_kwh"] == pytest.approx(0.045, abs=0.006)


@pytest.mark.parametrize(("night", "hours"), [("2026-03-28T12:00", 23), ("2026-10-24T12:00", 25), ("2026-07-01T12:00", 24)])
def test_a_day_is_as_long_as_the_clocks_make_it(path: Path, night: str, hours: int) -> None:
    bridge = Bridge(path, night)
    bridge.battery(10)
    bridge.run(12)
    assert bridge.run(hours - 1 / 60)["energy_in_today_kwh"] == pytest.approx(hours / 10, abs=0.005)
    assert bridge.run(1 / 30)["energy_in_today_kwh"] < 0.01


def test_after_a_night_of_downtime_today_begins_at_zero(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T20:00")
    before = bridge.run(1)
    bridge.restart(hours=10)
    found = bridge.battery(10).values
    assert found["energy_in_kwh"] == before["energy_in_kwh"]
    assert found["energy_in_today_kwh"] == 0


def test_after_a_restart_on_the_same_day_today_goes_on(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T10:00")
    before = bridge.run(1)
    bridge.restart(hours=1)
    found = bridge.battery(10)
    assert {key: found.values[key] for key in before} == before
    assert found.dropped == ()


def test_a_pi_that_boots_with_yesterdays_time_does_not_turn_the_day_twice(path: Path) -> None:
    bridge = Bridge(path, "2026-07-02T00:05")
    before = bridge.run(1)
    bridge.restart(hours=-2)
    bridge.battery(10)
    bridge.run(0.05)
    bridge.set_clock(2)
    after = bridge.run(1)
    assert after["energy_in_today_kwh"] == pytest.approx(before["energy_in_today_kwh"] + 0.105, abs=0.001)


@pytest.mark.parametrize("jump", [6, -6])
@pytest.mark.parametrize("start", ["2026-07-01T20:00", "2026-07-01T03:00", "2026-07-01T12:00"])
@pytest.mark.parametrize("back_after", [0.1, 2])
def test_a_clock_that_jumps_and_comes_back_changes_no_energy(path: Path, start: str, jump: int, back_after: float) -> None:
    bridge = Bridge(path, start)
    bridge.battery(10)
    seen = [bridge.run(0.5)]
    for hours, set_by in ((back_after, jump), (1, -jump)):
        bridge.set_clock(set_by)
        seen += [bridge.run(1 / 60) for _ in range(round(hours * 60))]
    spent = 0.5 + back_after + 1
    assert seen[-1]["energy_in_kwh"] == pytest.approx(spent / 10)
    todays = [found["energy_in_today_kwh"] for found in seen]
    turned = sum(after < before for before, after in pairwise(todays))
    assert turned == 0 if back_after < 0.25 else turned <= 1
    if not turned:
        assert todays[-1] == pytest.approx(spent / 10)


def test_a_bank_sums_its_batteries_also_those_that_are_silent(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T22:00")
    for _ in range(61):
        bridge.battery(10, 48)
        bridge.battery(20, 49)
        found = bridge.bank()
        bridge.wait()
    assert found["combined_energy_in_kwh"] == found["combined_energy_in_today_kwh"] == pytest.approx(0.3)
    bridge.restart()
    bridge.battery(10, 48)
    assert bridge.bank()["combined_energy_in_kwh"] == pytest.approx(0.3)
    bridge.run(2)
    found = bridge.bank()
    assert found["combined_energy_in_kwh"] == pytest.approx(0.5)
    assert found["combined_energy_in_today_kwh"] == pytest.approx(0.1, abs=0.005)
    assert found["combined_energy_out_today_kwh"] == 0


def test_a_battery_without_a_current_keeps_its_totals(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T23:00")
    before = bridge.run(0.5)
    bridge.wait()
    found = bridge.battery(None).values
    assert found["energy_in_kwh"] == before["energy_in_kwh"]
    bridge.wait(3600)
    assert bridge.battery(None).values["energy_in_today_kwh"] == 0


def test_a_pause_longer_than_max_gap_counts_nothing(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T10:00", max_gap=3)
    for pause, counted in ((180, 0.005), (181, 0.005)):
        bridge.battery(10)
        bridge.wait(pause)
        assert bridge.battery(10).values["energy_in_kwh"] == pytest.approx(counted)


def test_a_counter_of_a_controller_is_held_back_and_said_once(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bridge = Bridge(path, "2026-07-01T10:00")
    bridge.roof(power_generation_total=426038, pv_power=30)
    for _ in range(2):
        bridge.wait()
        found = bridge.roof(power_generation_total=0, pv_power=30)
        assert found.values["power_generation_total"] == 426038
        assert found.values["pv_power"] == 30
        assert found.dropped == ("power_generation_total",)
    assert caplog.text.count("power_generation_total reads 0 after 426038; held back") == 1
    bridge.wait()
    found = bridge.roof(power_generation_total=426039)
    assert (found.values["power_generation_total"], found.dropped) == (426039, ())
    assert caplog.text.count("power_generation_total") == 1


def test_a_lasting_change_is_believed_and_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bridge = Bridge(path, "2026-07-01T10:00")
    published = []
    for value in (426038, 0, 1, 2, 3):
        published.append(bridge.roof(power_generation_total=value).values["power_generation_total"])
        bridge.wait()
    assert published == [426038, 426038, 426038, 2, 3]
    assert "power_generation_total is 2 now" in caplog.text


def test_a_value_that_was_not_read_stays_unknown(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T10:00")
    bridge.roof(power_generation_total=426038)
    bridge.wait()
    found = bridge.roof()
    assert (found.values["power_generation_total"], found.dropped) == (None, ())


def test_the_devices_own_day_turns_without_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bridge = Bridge(path, "2026-07-01T05:00")
    published = []
    for value in (1344, 0, 0, 1):
        published.append(bridge.roof(power_generation_today=value).values["power_generation_today"])
        bridge.wait()
    assert published == [1344, 1344, 0, 1]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_restart_remembers_a_controllers_counters(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T10:00")
    bridge.roof(power_generation_total=426038, pv_power=900)
    bridge.restart(hours=10, monotonic=5.0)
    assert bridge.roof(power_generation_total=0).values["power_generation_total"] == 426038
    # 900 W x 1.5 x 10 h + 50 Wh
    assert bridge.roof(power_generation_total=426038 + 13_551).dropped == ("power_generation_total",)
    assert bridge.roof(power_generation_total=426038 + 13_550).values["power_generation_total"] == 439588
    assert json.loads(path.read_text())["806fb00f1234"]["counters"]["power_generation_total"][0] == 426038


def test_the_history_of_a_controller_has_no_counters_and_leaves_no_trace(path: Path) -> None:
    bridge = Bridge(path, "2026-07-01T10:00")
    found = bridge.read(ROOF, 255, "history", daily_power_generation=[1, 2])
    assert found.values["daily_power_generation"] == [1, 2]
    bridge.totals.flush()
    assert not path.exists()


def test_a_wrong_time_zone_is_the_users_to_mend(path: Path) -> None:
    with pytest.raises(UserError, match="Europe/Amsterdam"):
        Bridge(path, "2026-07-01T10:00", timezone="Europe/Atlantis")


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("amperes"), st.floats(-100, 100)),
        st.tuples(st.just("wait"), st.floats(1, 400)),
        st.tuples(st.just("clock"), st.sampled_from([-6.0, 6.0])),
        st.tuples(st.just("restart"), st.floats(0, 30)),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(EVENTS)
def test_what_is_published_as_a_total_never_falls(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, float]]
) -> None:
    bridge = Bridge(tmp_path_factory.mktemp("day") / "energy_totals.json", "2026-07-01T22:00")
    last, amperes = (0.0, 0.0, 0.0), 0.0
    for what, how in events:
        if what == "amperes":
            amperes = how
        elif what == "wait":
            bridge.wait(how)
        elif what == "clock":
            bridge.set_clock(how)
        else:
            bridge.restart(hours=how)
        bridge.wait(1)
        values = bridge.battery(amperes).values
        combined = bridge.bank()
        found = (values["energy_in_kwh"], values["energy_out_kwh"], combined["combined_energy_in_kwh"])
        assert all(new >= old for new, old in zip(found, last, strict=True))
        assert 0 <= values["energy_in_today_kwh"] <= values["energy_in_kwh"] + 1e-6
        last = found
