"""The devices of one section: neighbours do not disturb each other, and the bank says what it knows."""

import asyncio
import time
from itertools import pairwise
from typing import Any

import pytest

from renogybt.errors import Held, LinkError, NotFound, Released
from renogybt.reading import Failure, LinkFigures, Reading
from renogybt.settings import Device, Settings
from renogybt.sources import module as module_under_test
from renogybt.sources.module import Section, identities
from tests.sources.scripted import ScriptedLink, ScriptedRadio
from tests.sources.test_modbus_device import battery

MAC = "AA:BB:CC:DD:EE:FF"


def section(units: tuple[int, ...] = (48, 49, 50, 51)) -> Section:
    device = Device(mac_addr=MAC, alias="BT-TH-1", type="RNG_BATT", device_id=units)
    return Section(device, Settings(devices=(device,)))


def cycle(section: Section, link: ScriptedLink) -> list[Any]:
    news: list[Any] = []
    asyncio.run(section.cycle(ScriptedRadio(link), news.append))
    return news


def hub(*present: int) -> ScriptedLink:
    return ScriptedLink({unit: battery(current=float(unit - 40)) for unit in present})


def test_four_batteries_are_read_over_one_connection_each_with_its_own_values() -> None:
    link = hub(48, 49, 50, 51)
    readings = [item for item in cycle(section(), link) if isinstance(item, Reading)]
    assert {r.identity.unit: r.values["current"] for r in readings} == {48: 8.0, 49: 9.0, 50: 10.0, 51: 11.0}
    assert [r.identity.uid for r in readings] == [f"aabbccddeeff_{unit}" for unit in (48, 49, 50, 51)]
    assert link.renewals == 0


def test_a_dead_id_never_blanks_its_neighbours() -> None:
    news = cycle(section(), hub(48, 50, 51))
    assert [item.identity.unit for item in news if isinstance(item, Reading)] == [48, 50, 51]
    (failure,) = [item for item in news if isinstance(item, Failure)]
    assert failure.identity.unit == 49
    assert "no answer" in failure.error


def test_a_dead_id_is_left_alone_for_a_while_but_stays_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(module_under_test.time, "monotonic", lambda: now[0])
    house, link = section(), hub(48, 50, 51)
    cycle(house, link)
    asked = sum(unit == 49 for unit, _, _ in link.asked)
    now[0] += 10
    news = cycle(house, link)
    assert sum(unit == 49 for unit, _, _ in link.asked) == asked
    assert [item.identity.unit for item in news if isinstance(item, Failure)] == [49]
    now[0] += 30
    link.units[49] = battery()
    news = cycle(house, link)
    assert [item.identity.unit for item in news if isinstance(item, Reading)] == [48, 49, 50, 51]


def test_when_the_module_itself_is_silent_nobody_is_left_alone() -> None:
    house, link = section(), hub()
    news = cycle(house, link)
    assert [item.identity.unit for item in news if isinstance(item, Failure)] == [48, 49, 50, 51]
    link.units.update({unit: battery() for unit in (48, 49, 50, 51)})
    assert [item.identity.unit for item in cycle(house, link) if isinstance(item, Reading)] == [48, 49, 50, 51]


def test_an_absent_module_fails_all_its_devices_at_once_with_the_reason() -> None:
    class Absent(ScriptedRadio):
        def lend(self, device: Any, gatt: Any) -> Any:
            raise NotFound("BT-TH-1 was not seen")

    news: list[Any] = []
    asyncio.run(section().cycle(Absent(hub()), news.append))
    assert [item.error for item in news if isinstance(item, Failure)] == ["BT-TH-1 was not seen"] * 4


def test_link_figures_follow_each_cycle() -> None:
    figures = {item[0].unit: item[1] for item in cycle(section(), hub(48, 49, 50)) if isinstance(item, tuple)}
    age = figures[48].data_age
    assert age is not None
    assert 0 <= age < 5
    assert figures[48] == LinkFigures(
        connected=True,
        rssi=-60,
        reads=1,
        success_rate=100.0,
        connect_seconds=1.5,
        data_age=age,
        last_update=figures[48].last_update,
    )
    assert not figures[51].connected
    assert figures[51].read_errors == 1
    assert figures[51].timeouts == 3
    assert (figures[51].success_rate, figures[51].data_age) == (0.0, None)


class Moody(ScriptedRadio):
    """Lends nothing while `trouble` is set."""

    trouble: LinkError | None = None

    def lend(self, device: Any, gatt: Any) -> Any:
        if self.trouble is not None:
            raise self.trouble
        return super().lend(device, gatt)


def test_the_success_rate_is_that_of_the_last_hundred_attempts() -> None:
    house, radio = section((48,)), Moody(hub(48))
    (source,) = house.sources
    rates = []
    for trouble in [NotFound("not seen"), *[None] * 99, None, *[Held("held")] * 50, *[None] * 25]:
        radio.trouble = trouble
        asyncio.run(house.cycle(radio, lambda news: None))
        rates.append(source.success_rate)
    assert rates[:3] == [0.0, 50.0, 66.7]
    assert rates[99:101] == [99.0, 100.0]
    assert rates[150] == 50.0
    assert rates[-1] == 50.0
    radio.trouble = None
    for _ in range(60):
        asyncio.run(house.cycle(radio, lambda news: None))
    assert source.success_rate == 85.0
    assert (source.reads, source.errors) == (99 + 1 + 25 + 60, 51)


def test_a_module_that_is_lent_out_on_purpose_spoils_no_rate() -> None:
    house, radio = section((48,)), Moody(hub(48))
    news: list[Any] = []
    asyncio.run(house.cycle(radio, news.append))
    radio.trouble = Released("released until 12:30", 1e9)
    asyncio.run(house.cycle(radio, news.append))
    failures = [item for item in news if isinstance(item, Failure)]
    figures = [item[1] for item in news if isinstance(item, tuple)][-1]
    assert [item.error for item in failures] == ["released until 12:30"]
    assert (figures.success_rate, figures.read_errors, figures.connected) == (100.0, 0, False)
    assert figures.last_error == "released until 12:30"


@pytest.mark.parametrize("trouble", [NotFound("not seen"), Held("the app has it"), Released("lent out", 1e9)])
def test_a_module_that_cannot_be_had_back_concerns_all_its_devices_alike(trouble: LinkError) -> None:
    house, link = section((48, 49, 50)), hub(49, 50)
    link.renew_error = trouble
    news = cycle(house, link)
    assert [item.error for item in news if isinstance(item, Failure)] == [str(trouble)] * 3
    assert [source.resting_until for source in house.sources] == [0.0] * 3


def test_figures_go_out_while_a_device_is_away_and_while_it_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()
    now = [start]
    monkeypatch.setattr(module_under_test.time, "monotonic", lambda: now[0])
    house, radio = section((48, 49)), Moody(hub(48))
    told: list[tuple[float, int | None, float | None]] = []

    def report(item: Any) -> None:
        if isinstance(item, tuple):
            told.append((now[0], item[0].unit, item[1].data_age))

    for step in range(12):
        radio.trouble = NotFound("not seen") if step else None
        asyncio.run(house.cycle(radio, report))
        now[0] += 6
    ages = {unit: [(at, age) for at, who, age in told if who == unit] for unit in (48, 49)}
    assert ages[48][0][0] == start
    assert ages[48][1][0] == start + 6
    assert [later - earlier for (earlier, _), (later, _) in pairwise(ages[48][1:])] == pytest.approx([12.0] * 5)
    assert [age for _, age in ages[48][1:]] == pytest.approx([6, 18, 30, 42, 54, 66], abs=2)
    assert all(age is None for _, age in ages[49])
    assert len(ages[49]) >= 5


def test_the_bank_sums_what_is_known_of_all_and_holds_what_must_not_shrink() -> None:
    house = section((48, 49))
    assert house.bank is not None

    def readings(*present: int) -> dict[int, Reading]:
        news = cycle(section((48, 49)), hub(*present))
        return {item.identity.unit: item for item in news if isinstance(item, Reading) and item.identity.unit is not None}

    both = house.bank.combine(readings(48, 49), 1.0, 1.0).values
    assert both["combined_current"] == 17.0
    assert both["combined_capacity"] == 200.0
    assert both["combined_charge_percentage"] == 99.94
    assert both["combined_voltage"] == 13.2
    assert both["battery_49_temperature_min"] == -1.5
    assert both["batteries_online"] == 2
    one = house.bank.combine(readings(48), 2.0, 2.0)
    assert one.values["combined_current"] is None
    assert one.values["combined_charge_percentage"] is None
    assert one.values["combined_capacity"] == 200.0
    assert one.values["battery_49_cell_voltage_max"] is None
    assert one.values["battery_48_cell_voltage_max"] == 3.3
    assert one.values["batteries_online"] == 1
    assert one.missing == ("battery 49",)


def test_who_a_device_is_does_not_depend_on_its_history_being_read_too() -> None:
    live = Device(section="device", mac_addr=MAC, alias="roof", type="RNG_CTRL")
    past = Device(section="device.past", mac_addr=MAC, alias="past", type="RNG_CTRL_HIST")
    alone = [item.uid for item in identities(live, Settings(devices=(live,)))]
    beside = [item.uid for device in (live, past) for item in identities(device, Settings(devices=(live, past)))]
    assert alone == ["aabbccddeeff"]
    assert beside == ["aabbccddeeff", "aabbccddeeff_history"]
