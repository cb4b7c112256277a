"""Statuses on their way to a server like PVOutput's: outages, limits, crashes. Virtual time, real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from renogybt.settings import Pvoutput, Settings
from renogybt.sinks.outlet import Record
from renogybt.sinks.pvoutput import PvoutputOutlet
from tests.peers.pvoutput import Fault
from tests.sinks.place import DAY, KEY, assert_all_once, every_slot, local, places

__all__ = ["places"]


# In normal running


def test_a_status_is_there_with_its_first_reading(place: Any) -> None:
    here = place()
    here.read()
    here.pump.run(1)
    assert here.peer.system.statuses == {("20260601", "12:00"): {"v1": "600", "v2": "34", "v4": "5", "v6": "13.1"}}
    assert here.peer.services() == ["getstatus", "addstatus"]


def test_an_hour_is_twelve_requests_and_one_question_at_the_start(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(3600)
    assert here.peer.services() == ["getstatus"] + ["addstatus"] * 12
    assert_all_once(here, every_slot("2026-06-01 12:00", 12))


def test_what_is_sent_has_the_form_that_the_service_asks_for(place: Any) -> None:
    here = place()
    here.read(pv_power=None, battery_voltage=13.25)
    here.pump.run(1)
    call = here.pump.calls[-1]
    assert (call.method, call.verify) == ("POST", True)
    assert call.url == f"{here.peer.url}addstatus.jsp"
    assert call.headers["X-Pvoutput-Apikey"] == KEY
    assert (call.headers["X-Pvoutput-SystemId"], call.headers["X-Rate-Limit"]) == ("1234", "1")
    assert here.peer.asked[-1].parameters == {"d": "20260601", "t": "12:00", "v1": "600", "v4": "5", "v6": "13.25"}


def test_an_address_with_the_name_of_the_page_works_too(place: Any) -> None:
    here = place()
    system = Pvoutput(enabled=True, api_key=KEY, system_id="1234", url=f"{here.peer.url}addstatus.jsp")
    here.pump.outlets = [PvoutputOutlet(system, Settings(pvoutput=(system,)))]
    here.read()
    here.pump.run(1)
    assert here.peer.asked[-1].code == 200


def test_midnight(place: Any) -> None:
    here = place("2026-06-01 23:50:00")
    here.live(1200)
    assert_all_once(here, every_slot("2026-06-01 23:50", 4))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_days_on_which_the_clocks_change(place: Any, day: str, hours: int) -> None:
    here = place(f"{day} 00:00:00")
    here.live(hours * 3600)
    system = here.peer.system
    assert set(system.delivered.values()) == {1}
    assert len(system.times) == (276 if hours == 23 else 288)
    assert {d for d, _ in system.times} == {day.replace("-", "")}
    assert system.times == sorted(system.times)
    assert not here.left
    assert not here.pump.said


# Catching up


def test_an_outage_of_a_week_is_caught_up_inside_the_limit(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(600)
    asked = len(here.peer.asked)
    here.pump.online = False
    for _ in range(2016):
        here.read()
        here.pump.run(300)
    assert here.left == 2016
    assert len(here.peer.asked) == asked
    here.pump.online = True
    here.pump.run(2 * 3600)
    new = here.peer.asked[asked:]
    assert [one.service for one in new] == ["addbatchstatus.jsp"] * 68
    assert [one.statuses for one in new] == [30] * 67 + [6]
    assert max(here.peer.per_hour()) <= 60
    assert {one.code for one in here.peer.asked} <= {200, 400}
    assert_all_once(here, every_slot("2026-06-01 12:00", 2018))
    assert not here.pump.dropped


def test_a_week_that_begins_with_the_program_itself_takes_no_more(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.pump.online = False
    here.gather(2016)
    here.pump.online = True
    here.pump.run(2 * 3600)
    assert here.peer.services() == ["addbatchstatus"] * 68
    assert max(here.peer.per_hour()) <= 60
    assert_all_once(here, every_slot("2026-06-01 12:00", 2016))


def test_live_statuses_go_on_while_a_week_is_caught_up(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.pump.online = False
    here.gather(2016)
    here.pump.online = True
    here.live(3 * 3600)
    assert max(here.peer.per_hour()) <= 60
    assert 403 not in {one.code for one in here.peer.asked}
    assert_all_once(here, every_slot("2026-06-01 12:00", 2016 + 36))


def test_without_the_servers_figures_our_own_count_keeps_the_limit(place: Any) -> None:
    here = place("2026-06-01 12:30:00")
    here.peer.tells = False
    here.gather(2016)
    here.pump.run(3 * 3600)
    begun = [one.at for one in here.peer.asked]
    assert len(begun) == 68
    assert all(later - earlier >= 3600 for earlier, later in zip(begun, begun[60:], strict=False))
    assert {one.code for one in here.peer.asked} == {200}
    assert_all_once(here, every_slot("2026-06-01 12:30", 2016))


def test_the_accounts_own_limit_wins(place: Any) -> None:
    here = place(peer_options={"limit": 20}, requests_per_hour=300)
    here.gather(1000)
    here.pump.run(4 * 3600)
    assert max(here.peer.per_hour()) == 20
    assert {one.code for one in here.peer.asked} == {200}
    assert not here.left


def test_too_old_is_given_up_with_one_line(place: Any) -> None:
    here = place("2026-06-01 00:00:00")
    here.gather(20 * 288)
    here.pump.run(4 * 3600)
    assert here.pump.said == [
        "PVOutput [pvoutput]: 1728 statuses given up: older than the 14 days that PVOutput accepts (max_age_days)"
    ]
    assert len(here.pump.dropped) == 6 * 288
    assert_all_once(here, every_slot("2026-06-07 00:00", 14 * 288))


@pytest.mark.parametrize("jump", [-6 * 3600, 6 * 3600])
def test_a_clock_that_jumps(place: Any, jump: int) -> None:
    """For half an hour; the server's clock stays right, and it refuses the future.

    What was read meanwhile has the times that this clock told. Nothing is delivered twice and nothing blocks for good, but a
    slot that was used up by a wrong clock stays so.
    """
    here = place("2026-06-01 12:00:00")
    here.live(1800)
    here.peer.clock = lambda: here.clock.wall() - jump
    here.clock.set(jump)
    here.live(1800)
    here.peer.clock = here.clock.wall
    here.clock.set(-jump)
    here.live(7 * 3600)
    system = here.peer.system
    assert set(system.delivered.values()) == {1}
    assert not here.left
    real = every_slot("2026-06-01 12:00", 96)
    wrong = every_slot("2026-06-01 18:30" if jump > 0 else "2026-06-01 06:30", 6)
    missing = [slot for slot in real if slot not in system.statuses]
    assert missing == every_slot("2026-06-01 12:30", 6) + (wrong if jump > 0 else [])
    assert jump > 0 or all(slot in system.statuses for slot in wrong)
    assert len(here.pump.dropped) == (6 if jump > 0 else 0)
    assert all("in the future" in line for line in here.pump.said)
    assert max(here.peer.per_hour()) <= 60


def test_a_clock_that_was_set_back_holds_what_lies_ahead(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(600)
    here.pump.online = False
    here.live(1800)
    here.clock.set(-3600)
    here.pump.online = True
    here.live(600)
    assert here.left == 6
    here.live(3600)
    assert set(here.peer.system.delivered.values()) == {1}
    assert not here.left
    assert not here.pump.said


def test_nothing_is_sent_while_the_clock_is_not_set(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.read()
    here.clock.set(-local("2026-06-01 12:00:00"))
    here.pump.run(3600)
    assert not here.peer.asked
    here.clock.set(local("2026-06-01 12:00:00"))
    here.pump.run(60)
    assert_all_once(here, [("20260601", "12:00")])


# Crashes


def test_a_crash_between_sending_and_noting_sends_nothing_twice(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(600)
    here.pump.dies = True
    here.read()
    here.pump.round(here.outlet())
    assert here.left == 1
    here.begin()
    here.live(600)
    assert_all_once(here, every_slot("2026-06-01 12:00", 4))


@pytest.mark.parametrize("arrived", [True, False])
def test_a_crash_in_the_middle_of_catching_up(place: Any, arrived: bool) -> None:
    here = place("2026-06-01 22:00:00")
    here.live(300)
    here.pump.online = False
    here.live(12 * 3600, every=300)
    here.pump.online, here.pump.dies = True, True
    if not arrived:
        here.peer.faults = [Fault(0)]
    here.clock.advance(900)
    asked = len(here.peer.asked)
    here.pump.round(here.outlet())
    assert here.peer.asked[asked].statuses == (30 if arrived else 0)
    here.begin()
    here.pump.run(3600)
    assert_all_once(here, every_slot("2026-06-01 22:00", 145))
    assert here.peer.services().count("getstatus") == 3


def test_a_crash_in_the_middle_of_a_slot_makes_no_second_status(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(600)
    for _ in range(5):
        here.live(60)
        here.begin()
    here.live(240)
    assert_all_once(here, every_slot("2026-06-01 12:00", 4))


def test_two_records_of_one_slot_are_one_status(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.pump.online = False
    here.live(120)
    here.begin()
    here.pump.online = False
    here.live(480)
    assert here.left == 3
    here.pump.online = True
    here.live(900)
    assert_all_once(here, every_slot("2026-06-01 12:00", 5))


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("code", [0, 500, 502, 503])
def test_an_answer_that_does_not_tell_is_followed_by_a_question(place: Any, code: int, stored: bool) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(600)
    here.peer.faults = [Fault(code, "oops", carried_out=stored)]
    here.live(900)
    assert_all_once(here, every_slot("2026-06-01 12:00", 5))


def test_a_question_about_many_statuses_of_a_minute_each(place: Any) -> None:
    here = place("2026-06-01 00:00:00", status_interval=1)
    here.live(60)
    for minutes in range(400):
        here.peer.system.statuses["20260601", f"{minutes // 60:02d}:{minutes % 60:02d}"] = {"v1": "1"}
    asked = [
        Record(n, "pvoutput", here.clock.wall(), f'{{"d":"20260601","t":"{t}","v1":1}}', True)
        for n, t in ((1, "00:10"), (2, "23:00"))
    ]
    here.clock.advance(DAY)
    here.pump.waiting["pvoutput"] = asked
    here.pump.run(60)
    assert here.peer.services()[-3:] == ["getstatus", "getstatus", "addstatus"]
    assert here.peer.system.times[-1] == ("20260601", "23:00")
    assert not here.left
