"""What a server like PVOutput's refuses, how it limits, and several systems. Virtual time, real HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from renogybt.settings import Data, Pvoutput, Settings
from renogybt.sinks.outlet import Answer, Call, Record, Verdict
from renogybt.sinks.pvoutput import outlets
from tests.peers.pvoutput import Fault
from tests.sinks.place import DAY, KEY, assert_all_once, every_slot, places

__all__ = ["places"]


# Refusals


def test_the_one_bad_status_of_a_batch_is_found_and_given_up(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.peer.takes = lambda d, t, values: "Power value [34] too high for system size [10]" if t == "13:05" else ""
    here.gather(60)
    here.pump.run(3600)
    expected = [slot for slot in every_slot("2026-06-01 12:00", 60) if slot[1] != "13:05"]
    assert_all_once(here, expected)
    assert here.pump.said == [
        "PVOutput [pvoutput] refuses 1 status (20260601 13:05) with "
        '"Bad request 400: Power value [34] too high for system size [10]"; given up'
    ]
    assert len(here.pump.dropped) == 1
    assert len(here.peer.asked) < 25
    assert here.outlet().breaker.state(here.clock.mono()) == "closed"


def test_a_batch_that_was_taken_in_part_is_not_sent_again_in_whole(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.peer.torn = True
    here.peer.takes = lambda d, t, values: "No" if t in ("13:05", "13:10", "14:00") else ""
    here.gather(60)
    here.pump.run(2 * 3600)
    assert_all_once(
        here, [slot for slot in every_slot("2026-06-01 12:00", 60) if slot[1] not in ("13:05", "13:10", "14:00")]
    )
    assert len(here.pump.dropped) == 3
    assert max(here.peer.per_hour()) <= 60


def test_a_single_bad_status_is_given_up_with_the_servers_words(place: Any) -> None:
    here = place()
    here.peer.takes = lambda d, t, values: f"Energy value too high <b>{KEY}</b>\n{'x' * 500}"
    here.read()
    here.pump.run(60)
    assert not here.left
    (line,) = here.pump.said
    assert "Energy value too high" in line
    assert KEY not in line
    assert "\n" not in line
    assert len(line) < 300


def test_a_server_that_counts_days_otherwise_says_which_are_too_old(place: Any) -> None:
    here = place("2026-06-01 00:00:00", max_age_days=20)
    here.gather(16 * 288)
    here.pump.run(3 * 3600)
    assert_all_once(here, every_slot("2026-06-03 00:00", 14 * 288))
    assert len(here.pump.dropped) == 2 * 288
    assert all("older than 14 days" in line for line in here.pump.said)
    assert max(here.peer.per_hour()) <= 60


def test_generation_in_the_middle_of_the_night_is_left_out_once_it_was_refused(place: Any) -> None:
    here = place("2026-06-01 22:50:00")
    here.peer.moon = True
    here.gather(30)
    here.pump.run(600)
    assert_all_once(here, every_slot("2026-06-01 22:50", 30))
    statuses = here.peer.system.statuses
    assert statuses["20260601", "22:55"]["v1"]
    assert "v1" not in statuses["20260601", "23:00"]
    assert statuses["20260602", "00:55"] == {"v4": "5", "v6": "13.1"}
    assert statuses["20260602", "01:00"]["v2"] == "34"
    assert len(here.pump.said) == 1
    assert len(here.peer.asked) <= 5


def test_a_night_with_nothing_else_to_tell_is_given_up(place: Any) -> None:
    here = place("2026-06-01 23:10:00")
    here.peer.moon = True
    here.read(load_power=None)
    here.pump.run(600)
    assert not here.left
    assert not here.peer.system.statuses
    assert len(here.pump.said) == 2


def test_what_the_server_left_as_it_was_is_given_up(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(300)
    here.gather(3)
    here.peer.faults = [Fault(200, "20260601,12:05,1;20260601,1210,2;20260601,12:15,0")]
    here.pump.run(60)
    assert not here.left
    assert here.pump.said == ["PVOutput [pvoutput] left 1 status (20260601 12:15) as it had them before; given up"]


def test_a_status_the_answer_does_not_name_is_asked_for(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(300)
    here.gather(3)
    here.peer.faults = [Fault(200, "20260601,12:05,1;20260601,12:10,1", carried_out=True)]
    here.pump.run(60)
    assert_all_once(here, every_slot("2026-06-01 12:00", 4))
    assert here.peer.services()[-2:] == ["addbatchstatus", "getstatus"]


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (Fault(401, "Unauthorized 401: Invalid API Key"), "check api_key and system_id in [pvoutput]"),
        (Fault(403, "Forbidden 403: Read only key"), "check api_key and system_id in [pvoutput]"),
        (Fault(404, "<html>nothing</html>"), "check url"),
        (Fault(500, "oops"), "a fault of its own (500)"),
        (Fault(200, "<html>please log in</html>"), "login page"),
        (Fault(200, ""), "login page"),
    ],
)
def test_what_is_no_fault_of_a_status_keeps_it_and_opens_the_breaker(place: Any, fault: Fault, named: str) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(300)
    here.peer.faults = [Fault(fault.code, fault.text, dict(fault.headers)) for _ in range(3)]
    here.read()
    here.pump.run(10)
    assert here.outlet().breaker.state(here.clock.mono()) == "open"
    assert len(here.pump.said) == 3
    assert named in here.pump.said[0]
    assert KEY not in "".join(here.pump.said)
    asked = len(here.peer.asked)
    here.pump.run(280)
    assert len(here.peer.asked) == asked
    here.pump.run(60)
    assert_all_once(here, every_slot("2026-06-01 12:00", 2))


def test_a_wrong_key_never_loses_a_status(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.peer.system.key = "another"
    here.live(3600)
    assert here.left == 12
    assert len(here.peer.asked) <= 3 + 4
    here.peer.system.key = KEY
    here.live(3600)
    assert_all_once(here, every_slot("2026-06-01 12:00", 24))


# Limits


def test_a_used_up_hour_is_waited_for(place: Any) -> None:
    here = place("2026-06-01 12:20:00")
    here.live(300)
    here.peer._used[KEY, int(here.clock.wall() // 3600)] = 60
    here.live(900)
    assert [one.code for one in here.peer.asked][-1] == 403
    assert here.left == 3
    assert here.pump.said == [
        "PVOutput [pvoutput]: the account has used its 60 requests of this hour; statuses wait until 13:00"
    ]
    asked = len(here.peer.asked)
    here.live(1200)
    assert len(here.peer.asked) == asked
    here.live(600)
    assert_all_once(here, every_slot("2026-06-01 12:20", 10))
    assert here.outlet().breaker.state(here.clock.mono()) == "closed"


@pytest.mark.parametrize(("figures", "seconds"), [("nothing", 2100), ("retry-after", 120), ("reset", 600)])
def test_a_used_up_hour_with_other_figures_or_none(place: Any, figures: str, seconds: int) -> None:
    here = place("2026-06-01 12:20:00")
    here.peer.tells = False
    here.live(300)
    reset = {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": str(int(here.clock.wall() + 600))}
    headers = {"nothing": {}, "retry-after": {"Retry-After": "120"}, "reset": reset}[figures]
    here.peer.faults = [Fault(403, "Forbidden 403: Exceeded 60 requests per hour", headers)]
    here.read()
    here.pump.run(seconds)
    asked = len(here.peer.asked)
    assert here.left == 1
    here.pump.run(10)
    assert len(here.peer.asked) == asked + 1
    assert not here.left


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after(place: Any, code: int) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(60)
    here.clock.advance(240)
    here.peer.faults = [Fault(code, "busy", {"Retry-After": "90"})]
    here.read()
    here.pump.run(89)
    assert here.left == 1
    here.pump.run(3)
    assert_all_once(here, every_slot("2026-06-01 12:00", 2))
    assert here.outlet().breaker.state(here.clock.mono()) == "closed"


def test_retry_after_as_a_date_is_by_the_servers_clock(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    answer = Answer(429, {"retry-after": "Mon, 01 Jun 2026 10:05:00 GMT", "date": "Mon, 01 Jun 2026 10:03:00 GMT"}, "busy")
    here.read()
    call = here.outlet().compose(here.pump.waiting["pvoutput"], here.clock.wall(), 0.0)
    assert isinstance(call, Call)
    verdict = here.outlet().judge(call, answer, here.clock.wall() - 9999, 0.0)
    assert (verdict.pause, verdict.failed) == (120.0, False)
    assert verdict.reason


def test_a_wrong_clock_here_does_not_spoil_the_reset(place: Any) -> None:
    """PVOutput tells the reset in its own time; ours may be hours off."""
    here = place("2026-06-01 12:20:00")
    here.live(300)
    here.peer.clock = lambda: here.clock.wall() + 5 * 3600 + 1200
    here.peer._used[KEY, int(here.peer.clock() // 3600)] = 60
    here.live(300)
    assert here.peer.asked[-1].code == 403
    left = here.pump._not_before["pvoutput"] - here.clock.mono()
    assert 595 < left < 605  # 17:45 there when it was refused, five minutes ago


# Mixtures and several systems


def test_a_bad_hour_of_everything(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.live(300)
    spent = Fault(403, "Forbidden 403: Exceeded 60 requests per hour", {"Retry-After": "200"})
    for _ in range(4):
        faults = [
            Fault(500),
            Fault(0, carried_out=True),
            Fault(429, "", {"Retry-After": "30"}),
            Fault(503, carried_out=True),
        ]
        here.peer.faults = [*faults, Fault(spent.code, spent.text, dict(spent.headers)), Fault(401, "no")]
        here.peer.takes = lambda d, t, values: "No" if t in ("13:00", "15:25") else ""
        here.live(3600)
    here.live(2 * 3600)
    refused = [("20260601", "13:00"), ("20260601", "15:25")]
    assert_all_once(here, [slot for slot in every_slot("2026-06-01 12:00", 73) if slot not in refused])
    assert len(here.pump.dropped) == 2
    assert max(here.peer.per_hour()) <= 60


def test_two_systems_of_one_account_share_its_hour(place: Any) -> None:
    here = place("2026-06-01 12:00:00", {"s1": KEY, "s2": KEY})
    here.gather(2016, 0)
    here.live(4 * 3600)
    one, two = here.peer.systems.values()
    assert max(here.peer.per_hour()) <= 60
    assert {asked.code for asked in here.peer.asked if asked.service != "getstatus.jsp"} == {200}
    assert one.times == every_slot("2026-06-01 12:00", 2016 + 48)
    assert two.times == every_slot("2026-06-08 12:00", 48)
    assert set(one.delivered.values()) == set(two.delivered.values()) == {1}
    assert not here.left


def test_the_other_system_stays_live_while_one_catches_up(place: Any) -> None:
    here = place("2026-06-01 12:00:00", {"s1": KEY, "s2": KEY})
    here.gather(2016, 0)
    here.live(2 * 3600)
    live = [asked for asked in here.peer.asked if asked.system == "2" and asked.service == "addstatus.jsp"]
    assert len(live) == 24


def test_two_accounts_have_an_hour_each(place: Any) -> None:
    here = place("2026-06-01 12:00:00", {"s1": "key-one", "s2": "key-two"})
    here.gather(1800)
    here.pump.run(3300)
    assert len(here.peer.asked) == 120
    assert not here.left


def test_two_sections_that_feed_one_system_do_not_mistake_each_others_statuses(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    settings = here.settings()
    other = Pvoutput(
        section="pvoutput.other",
        enabled=True,
        api_key=KEY,
        system_id="1234",
        device="Rover0",
        url=here.peer.url,
        v1="pv_power",
    )
    both = Settings(devices=settings.devices, data=settings.data, pvoutput=(*settings.pvoutput, other))
    here.pump.outlets = outlets(both)
    here.live(300)
    assert here.peer.services() == ["addstatus", "addstatus"]


def test_a_single_run_for_cron_just_sends(place: Any) -> None:
    here = place()
    settings = here.settings()
    once = Settings(devices=settings.devices, data=Data(timezone="Europe/Amsterdam"), pvoutput=settings.pvoutput)
    here.pump.outlets = outlets(once)
    here.read()
    here.pump.run(1)
    assert here.peer.services() == ["addstatus"]


def test_lifetime_counters_say_so(place: Any) -> None:
    here = place("2026-06-01 12:00:00", v1="power_generation_total")
    for generated in (None, 5000, 5010):
        here.read(power_generation_total=generated)
        here.clock.advance(300)
    here.pump.run(60)
    sent = [asked.parameters for asked in here.peer.asked if asked.service.startswith("add")]
    assert [parameters.get("c1") for parameters in sent] == [None, "2"]
    assert sent[1]["data"].startswith("20260601,12:05,5000,34,,5,,13.1;")
    assert_all_once(here, every_slot("2026-06-01 12:00", 3))


def test_what_is_no_status_does_not_block_the_others(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.pump.waiting["pvoutput"] = [Record(-1, "pvoutput", here.clock.wall(), "torn {")]
    here.live(300)
    assert_all_once(here, every_slot("2026-06-01 12:00", 1))
    assert here.pump.said == ["PVOutput [pvoutput]: 1 status given up: not readable"]


def test_compose_settles_or_waits_without_a_call(place: Any) -> None:
    here = place("2026-06-01 12:00:00")
    here.read()
    (record,) = here.pump.waiting["pvoutput"]
    outlet = here.outlet()
    assert outlet.compose([record], 0.0, 0.0) == 60.0
    assert outlet.compose([record], record.taken_at - 20, 0.0) == 20.0
    assert isinstance(outlet.compose([record], record.taken_at + 15 * DAY, 0.0), Verdict)
    assert not here.peer.asked
