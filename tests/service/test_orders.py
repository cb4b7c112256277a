"""What can be asked of the running program, and what it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from renogybt.command import Command
from renogybt.errors import ConnectFailed, RenogyError
from renogybt.incident import Incident
from renogybt.reading import Identity
from renogybt.service.orders import Orders
from renogybt.settings import Device, Settings
from renogybt.sources.module import Section

HUB, ROVER = "AA:BB:CC:00:00:01", "AA:BB:CC:00:00:02"
SETTINGS = Settings(
    devices=(
        Device(section="device", mac_addr=HUB, alias="hub", type="RNG_BATT", device_id=(48, 49)),
        Device(section="device.dc", mac_addr=HUB, alias="dc", type="RNG_DCC"),
        Device(section="device.rover", mac_addr=ROVER, alias="BT-TH-CC000002"),
    )
)


class Radio:
    """Notes what it is asked for."""

    def __init__(self, error: RenogyError | None = None) -> None:
        self.freed: list[tuple[str, float]] = []
        self.resumed: list[str] = []
        self._error = error

    async def free(self, device: Device, seconds: float) -> None:
        if self._error is not None:
            raise self._error
        self.freed.append((device.mac_addr, seconds))

    async def resume(self, device: Device) -> None:
        self.resumed.append(device.mac_addr)


class Loop:
    """The main loop's side of the seam, carrying tasks out at once."""

    def __init__(self, radio: Radio) -> None:
        self.radio = radio
        self.held: dict[str, float] = {}
        self.away: dict[str, float | None] = {}
        self.incidents: list[Incident] = []

    def submit(self, task: Callable[[Any], Any], report: Callable[[Any], None]) -> None:
        try:
            outcome = asyncio.run(task(self.radio))
        except RenogyError as error:
            outcome = error
        report(outcome)

    def hold(self, sections: Iterable[str], until: float) -> None:
        self.held |= dict.fromkeys(sections, until)

    def lent(self, identities: Iterable[Identity], until: float | None) -> None:
        self.away |= {identity.label: until for identity in identities}

    def happened(self, incident: Incident) -> None:
        self.incidents.append(incident)

    def health(self) -> dict[str, Any]:
        return {"state": "ok"}


def ask(loop: Loop, do: str, device: str = "", minutes: float = 10) -> dict[str, Any]:
    answers: list[dict[str, Any]] = []
    given(loop).carry_out(Command(do, device, minutes, lambda answer: answers.append(dict(answer))))
    (answer,) = answers
    return answer


NAMES = ("hub", "HUB", "device", HUB, HUB.lower(), HUB.replace(":", "-"), "hub_48", "hub_combined", "dc", "device.dc")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_device_frees_its_module_and_holds_all_that_sit_behind_it(name: str) -> None:
    loop = Loop(Radio())
    answer = ask(loop, "release", name, minutes=5)
    assert answer["ok"]
    assert "released for 5 min" in answer["text"]
    assert loop.radio.freed == [(HUB, 300)]
    assert set(loop.held) == {"device", "device.dc"}
    assert all(abs(until - time.monotonic() - 300) < 5 for until in loop.held.values())
    assert set(loop.away) == {"hub_48", "hub_49", "hub_combined", "dc_255"}
    assert [incident.kind for incident in loop.incidents] == ["release"]


def test_a_module_that_cannot_be_freed_is_read_on_and_the_answer_says_why() -> None:
    loop = Loop(Radio(ConnectFailed("it is being read")))
    answer = ask(loop, "release", "hub")
    assert answer == {"ok": False, "text": "hub could not be released: it is being read"}
    assert all(until <= time.monotonic() for until in loop.held.values())
    assert set(loop.away.values()) == {None}
    assert loop.incidents == []


class Later(Loop):
    """The radio does what it is asked for at once, but what became of it is heard when `report` is called."""

    def __init__(self, radio: Radio) -> None:
        super().__init__(radio)
        self.reports: list[Callable[[], None]] = []

    def submit(self, task: Callable[[Any], Any], report: Callable[[Any], None]) -> None:
        outcome = asyncio.run(task(self.radio))
        self.reports.append(lambda: report(outcome))


def given(loop: Loop) -> Orders:
    return Orders(loop, {device.section: Section(device, SETTINGS) for device in SETTINGS.devices})


def test_the_time_begins_when_the_module_is_free() -> None:
    """A turn a moment before the module's own time is over would be refused, and count as a failure."""
    loop = Later(Radio())
    given(loop).carry_out(Command("release", "hub", 1.0))
    before, asked = time.monotonic() + 60, dict(loop.held)
    loop.reports.pop()()
    assert set(asked) == {"device", "device.dc"}
    assert all(until <= before for until in asked.values())
    assert all(until >= before for until in loop.held.values())
    assert all(until is not None and until >= before for until in loop.away.values())


def test_who_is_back_already_is_not_held_by_a_late_answer() -> None:
    loop = Later(Radio())
    orders = given(loop)
    orders.carry_out(Command("release", "hub", 1.0))
    orders.carry_out(Command("resume", "hub"))
    released, resumed = loop.reports
    resumed()
    released()
    assert all(until <= time.monotonic() for until in loop.held.values())
    assert set(loop.away.values()) == {None}


@pytest.mark.parametrize(("do", "minutes"), [("resume", 10.0), ("release", 0.0)])
def test_coming_back_early(do: str, minutes: float) -> None:
    loop = Loop(Radio())
    assert ask(loop, do, "rover", minutes)["ok"]
    assert loop.radio.resumed == [ROVER]
    assert loop.held["device.rover"] <= time.monotonic()
    assert set(loop.away.values()) == {None}


@pytest.mark.parametrize("minutes", [-1, 0.001, 1441, float("inf"), float("nan")])
def test_nobody_frees_a_module_for_ever(minutes: float) -> None:
    loop = Loop(Radio())
    assert "minutes must be" in ask(loop, "release", "hub", minutes)["text"]
    assert loop.held == {}
    assert loop.radio.freed == []


def test_an_unknown_or_ambiguous_name_is_answered_with_the_names_there_are() -> None:
    for name in ("", "roof"):
        answer = ask(Loop(Radio()), "release", name)
        assert not answer["ok"]
        assert "name one of: device, device.dc, device.rover" in answer["text"]


def test_status_and_what_nobody_knows() -> None:
    assert ask(Loop(Radio()), "status") == {"ok": True, "text": "", "state": "ok"}
    assert "there are release, resume and status" in ask(Loop(Radio()), "explode")["text"]
