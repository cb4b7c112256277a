"""The days that controllers keep: asked for as a guest, and delivered to the history alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from renogybt import devices
from renogybt.data_logger import DataLogger
from renogybt.errors import LinkError, NoAnswer
from renogybt.history import History as Reader
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.service.bridge import Bridge
from renogybt.service.past import RETRY, Past, until_noon
from renogybt.settings import Data, Device, History, Settings
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import SimulatedRadio
from renogybt.simulator.system import DEMO_SEED, DEMO_START
from renogybt.sources.module import Section
from tests.sources.scripted import ScriptedLink, ScriptedRadio, ScriptedUnit

MAC = "84:28:D7:FF:00:01"
TABLE, DAYS = devices.family("controller"), devices.family("history")
ROOF = Device(section="device", mac_addr=MAC, alias="roof", type="RNG_CTRL")
KEEP = Settings(devices=(ROOF,), data=Data(enable_polling=True), history=History(enabled=True))


def controller(**more: Any) -> ScriptedUnit:
    """A controller with the number 16 that also hears 255; the Wh of its days are 100, 101 and so on."""
    found = ScriptedUnit.of(TABLE, {"pv_power": 34, "battery_voltage": 13.1}, **more)
    for ago, window in enumerate(DAYS.windows):
        record = DAYS.encode(window.start, window.words, {"day_generation": 100 + ago, "day_min_voltage": 12.0})
        # The address counts days, so records lie one address apart and overlap: each is a span of its own.
        found.records[window.start] = record
    found.answers_as = 16
    return found


def link(unit: ScriptedUnit | None = None) -> ScriptedLink:
    unit = unit or controller()
    return ScriptedLink({255: unit, 16: unit})


def live(section: Section, over: ScriptedLink) -> list[Any]:
    news: list[Any] = []
    asyncio.run(section.cycle(ScriptedRadio(over), news.append))
    return news


def past(section: Section, over: ScriptedLink) -> list[Reading]:
    return asyncio.run(section.read_past(ScriptedRadio(over)))


def test_days_are_asked_for_at_the_address_that_was_learned() -> None:
    section, over = Section(ROOF, KEEP), link()
    live(section, over)
    over.asked.clear()
    (found,) = past(section, over)
    assert over.asked == [(16, 0xF000 + ago, 10) for ago in range(7)]
    assert found.identity.uid == "8428d7ff0001_history"
    assert found.values["daily_power_generation"] == [106, 105, 104, 103, 102, 101, 100]
    assert found.values["daily"][1]["date"] == (date.today() - timedelta(days=1)).isoformat()
    assert over.renewals == 0


def test_the_first_silence_ends_it_and_the_live_values_do_not_suffer() -> None:
    section, over = Section(ROOF, KEEP), link()
    live(section, over)
    over.units[16].silent_at.add(0xF002)
    over.asked.clear()
    with pytest.raises(NoAnswer):
        past(section, over)
    assert [register for _, register, _ in over.asked] == [0xF000, 0xF001, 0xF002]
    assert over.renewals == 1
    assert [item.values["pv_power"] for item in live(section, over) if isinstance(item, Reading)] == [34]
    over.units[16].silent_at.clear()
    assert past(section, over)[0].values["daily_power_generation"][0] == 106


def test_a_controller_without_such_records_is_asked_no_further() -> None:
    section, over = Section(ROOF, KEEP), link()
    over.units[16].records.clear()
    live(section, over)
    assert past(section, over)[0].values["daily"] == []
    over.asked.clear()
    past(section, over)
    assert over.asked == []


def test_a_day_that_was_silent_once_is_asked_for_again() -> None:
    """Also in a section of the user's own (RNG_CTRL_HIST)."""
    own = Device(section="device", mac_addr=MAC, alias="past", type="RNG_CTRL_HIST")
    section, over = Section(own, Settings(devices=(own,))), link()
    over.units[16].silent_at.add(0xF003)
    (first,) = [item for item in live(section, over) if isinstance(item, Reading)]
    assert first.missing == ("day_3",)
    over.units[16].silent_at.clear()
    (second,) = [item for item in live(section, over) if isinstance(item, Reading)]
    assert second.missing == ()


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (KEEP, True),
        (Settings(devices=(ROOF,)), False),
        (Settings(devices=(ROOF,), history=History(enabled=True, controller_history=False)), False),
        (
            Settings(
                devices=(ROOF, Device(section="device.p", mac_addr=MAC, alias="p", type="RNG_CTRL_HIST")),
                history=History(enabled=True),
            ),
            False,
        ),
        (
            Settings(
                devices=(ROOF, Device(section="device.p", mac_addr="84:28:D7:FF:00:02", alias="p", type="RNG_CTRL_HIST")),
                history=History(enabled=True),
            ),
            True,
        ),
    ],
)
def test_only_where_it_is_wanted_and_not_read_anyway(settings: Settings, wanted: bool) -> None:
    assert Section(ROOF, settings).has_past is wanted


@pytest.mark.parametrize("type", ["RNG_BATT", "RNG_DCC", "RNG_SHNT", "RNG_INVT", "RNG_CTRL_HIST"])
def test_other_devices_keep_no_days(type: Any) -> None:
    other = Device(section="device", mac_addr=MAC, alias="x", type=type)
    assert not Section(other, Settings(devices=(other,), history=History(enabled=True))).has_past


class Desk:
    """Where `Past` hands in its tasks; `answer` is what comes of each."""

    def __init__(self, now: float) -> None:
        self.now, self.asked, self.delivered = now, 0, list[Any]()
        self.answer: Any = ["a reading"]
        self.past = Past([Section(ROOF, KEEP)], self.submit, self.delivered.append, lambda: self.now, lambda: self.wall)

    @property
    def wall(self) -> float:
        return self.now

    def submit(self, task: Callable[[Any], Any], report: Callable[[Any], None]) -> None:
        self.asked += 1
        if self.answer is not None:
            report(self.answer)

    def seen(self, after: float = 0) -> int:
        """A good reading `after` seconds; how often the days were asked for so far."""
        self.now += after
        self.past.seen("device")
        self.past.seen("a section without such a device")
        return self.asked


def test_days_are_read_after_the_first_good_reading_and_then_each_noon() -> None:
    morning = datetime(2026, 7, 1, 9).timestamp()
    desk = Desk(morning)
    assert desk.asked == 0
    assert desk.seen() == 1
    assert desk.seen(3 * 3600 - 1) == 1
    assert desk.seen(1) == 2
    assert desk.seen(86399) == 2
    assert desk.seen(1) == 3
    assert desk.delivered == ["a reading"] * 3


def test_a_failure_is_quiet_and_tried_again_in_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    desk = Desk(datetime(2026, 7, 1, 9).timestamp())
    desk.answer = LinkError("no answer")
    assert desk.seen() == 1
    assert [(record.levelname, "next try in an hour" in record.getMessage()) for record in caplog.records] == [
        ("INFO", True)
    ]
    assert desk.seen(RETRY - 1) == 1
    desk.answer = ["a reading"]
    assert desk.seen(1) == 2
    assert desk.delivered == ["a reading"]


def test_a_task_that_never_reports_is_given_in_again() -> None:
    desk = Desk(datetime(2026, 7, 1, 9).timestamp())
    desk.answer = None
    assert desk.seen() == 1
    assert desk.seen(RETRY) == 2


def test_noon_is_always_ahead() -> None:
    noon = datetime(2026, 7, 1, 12).timestamp()
    assert until_noon(noon - 60) == 60
    assert until_noon(noon) == 86400
    assert 0 < until_noon(datetime(2026, 3, 29, 1).timestamp()) <= 86400


class Collector:
    """A sink like any other."""

    name = "collector"

    def __init__(self) -> None:
        self.got: list[Reading] = []

    def start(self) -> None: ...

    def offer(self, reading: Reading) -> None:
        self.got.append(reading)

    def failed(self, failure: Failure) -> None: ...

    def figures(self, identity: Identity, figures: LinkFigures) -> None: ...

    def flush(self, timeout: float) -> str:
        return ""

    def stop(self, timeout: float, last_words: bool = True) -> bool:
        return True


def test_in_the_bridge_they_go_to_the_history_alone(tmp_path: Path) -> None:
    settings = Settings(
        devices=(ROOF,),
        data=Data(enable_polling=True, poll_interval=1),
        history=History(enabled=True, flush_seconds=1),
        folder=str(tmp_path),
    )
    other = Collector()
    radio = SimulatedRadio(Plant(DEMO_SEED, DEMO_START), settings)
    bridge = Bridge(settings, radio, logger=DataLogger(settings, more=[other]))
    thread = threading.Thread(target=bridge.run)
    thread.start()
    try:
        end = time.monotonic() + 90
        while len(other.got) < 3:
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        bridge.stop()
        thread.join(90)
    assert {item.family for item in other.got} == {"controller"}
    with Reader(tmp_path / "history.sqlite") as history:
        uid = history.devices()[0].uid
        assert len(list(history.readings(uid, 0, 1e12))) >= 3
        known = [day for day in history.days(uid, "2000-01-01", "2100-01-01") if day.controller]
        assert len(known) == 7
        assert known[0].values == {}
        assert known[0].generation == known[0].controller["day_generation"]
