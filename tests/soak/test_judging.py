"""The soak's own plan and judgement: that it sees what is wrong, and excuses nothing that a fault does not explain."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from tests.peers.mosquitto import Heard
from tests.soak.faults import BY_NAME, FAULTS, KINDS, windows
from tests.soak.plan import LAST, plan
from tests.soak.rig import ALL
from tests.soak.truth import Truth, fresh, independent
from tests.soak.verdict import FEWEST, Record, Sample, calm, delivered, judged, slope


def test_the_plan_of_a_seed_is_always_the_same() -> None:
    first = plan(7, 1800, KINDS)
    assert first == plan(7, 1800, KINDS)
    assert first != plan(8, 1800, KINDS)
    assert 45 <= len(first) <= 75
    assert {event.kind for event in first} == set(BY_NAME)
    assert all(later.at > earlier.end for earlier, later in pairwise(first))
    assert first[-1].end <= 1800 - LAST


def test_no_fault_excuses_those_it_does_not_concern() -> None:
    event = next(event for event in plan(1, 3600, KINDS) if event.kind == "module away" and event.target == "rover")
    assert [label for label, *_ in windows(event, BY_NAME[event.kind])] == ["rover_255"]
    concerned = {fault.kind.name for fault in FAULTS if fault.whom == "nobody"}
    assert concerned == {"somebody else scans", "web server mute", "web server resets", "web server drips"}


def test_what_is_calm_lies_between_the_windows() -> None:
    assert calm(0, 100, [(10, 20), (15, 30), (90, 120)]) == [(0, 10), (30, 90)]
    assert calm(0, 100, [(0, 100)]) == []
    assert calm(0, 100, []) == [(0, 100)]


def test_one_stretch_does_not_make_up_for_another() -> None:
    every_two = [float(at) for at in range(0, 20, 2)]
    assert delivered(every_two, [(0, 20)], 2.0) == (9, 9)
    assert delivered([*every_two, *every_two], [(0, 20), (30, 50)], 2.0) == (9, 18)
    assert delivered(every_two, [(5, 6)], 2.0) == (0, 0)


def test_the_slope_is_that_of_the_second_half() -> None:
    rising = [Sample(n, 10 * n, 40.0 if n < 50 else 40.0 + n / 1000, 10, 5, 4) for n in range(100)]
    assert slope(rising) == pytest.approx(1.0)
    assert slope(rising[:50]) == pytest.approx(0.0)


def perfect() -> Record:
    """Ten minutes in which nothing went wrong."""
    record = Record(0.0, 600.0, {label: [2.0 * n for n in range(300)] for label in ALL}, exit_code=0)
    record.samples = [Sample(n, 3 * n, 40.0, 12, 6, 4) for n in range(600)]
    return record


def kept(record: Record) -> bool:
    return all(line.kept is not False for line in judged(record))


def test_what_is_good_passes() -> None:
    assert kept(perfect())
    assert len(ALL) * 299 > FEWEST


def spoilt(name: str, record: Record) -> None:
    """Make one thing wrong."""
    samples = record.samples
    match name:
        case "gaps":
            record.good = {label: [at for at in good if at % 40] for label, good in record.good.items()}
            record.good = {label: [at for at in good if at % 38] for label, good in record.good.items()}
        case "one device":
            record.good["rover_255"] = record.good["rover_255"][:250]
        case "wrong value":
            record.wrong.append("hub_48: voltage is 99")
        case "restart":
            record.restarts = 1
        case "late end":
            record.exit_seconds = 18.1
        case "exit code":
            record.exit_code = 1
        case "memory":
            record.samples = [s._replace(rss=s.rss + s.at / 60) for s in samples]
        case "files":
            record.samples = [s._replace(fds=s.fds + int(s.at / 60)) for s in samples]
        case "threads":
            record.samples = [s._replace(threads=s.threads + int(s.at / 100)) for s in samples]
        case "bus":
            record.samples = [s._replace(clients=4 + int(s.at / 100)) for s in samples]
        case "missing":
            record.missing = ["rover_255"]
        case "no calm":
            record.windows = {label: [(0.0, 595.0)] for label in ALL}


@pytest.mark.parametrize(
    "name",
    [
        "gaps",
        "one device",
        "wrong value",
        "restart",
        "late end",
        "exit code",
        "memory",
        "files",
        "threads",
        "bus",
        "missing",
        "no calm",
    ],
)
def test_each_failing_fails_the_soak(name: str) -> None:
    record = perfect()
    spoilt(name, record)
    assert not kept(record)


def test_what_the_machine_took_is_not_asked_for() -> None:
    record = perfect()
    record.windows = {label: [(210.0, 220.0)] for label in ALL}
    record.good = {label: [at for at in good if not 100 <= at < 200] for label, good in record.good.items()}
    assert not kept(record)
    record.starved = [(float(at), 0.9) for at in range(100, 200)]
    assert kept(record)
    record.starved = [(float(at), 0.9) for at in range(300, 400)]
    assert not kept(record)


def test_a_recovery_may_take_longer_by_what_the_machine_took() -> None:
    record = perfect()
    record.windows = {"rover_255": [(100.0, 110.0)]}
    record.starved = [(float(at), 0.5) for at in range(90, 120)]
    assert record.calm("rover_255") == [(0.0, 100.0), (115.0, 600.0)]
    assert record.calm("hub_48") == [(0.0, 600.0)]


def test_the_truth_knows_what_is_wrong() -> None:
    truth = Truth()
    truth._ticks = [(2.0 * n, 2.0 * n + 2.5) for n in range(100)]
    truth._known = {"hub_48": independent("hub_48")}
    truth._began = 0.0

    def said(at: float, **values: object) -> list[str]:
        return truth.faults_of(Heard("solar/hub_48", json.dumps(values), False, at))

    assert said(100.0, voltage=13.3, current=None, bms_temperature=15.0) == []
    assert said(100.0, voltage=13.4) != []
    assert said(100.0, bms_temperature=15.0, connection_status="online", data_age=0) == []
    assert said(160.0, bms_temperature=15.0, connection_status="online", data_age=0) != []
    assert said(160.0, bms_temperature=15.0, connection_status="offline", data_age=60) == []
    assert said(160.0, bms_temperature=15.0, connection_status="offline", data_age=0) != []
    assert said(100.0, bms_temperature=19.9) != []  # not yet
    assert said(100.0, energy_in_kwh=0.001) == []
    assert said(110.0, energy_in_kwh=0.5) != []
    assert said(120.0, energy_in_kwh=0.1) != []


def test_a_word_about_an_unread_device_is_no_reading() -> None:
    assert fresh("hub_48", '{"bms_temperature": 15.0, "connection_status": "online"}')
    assert not fresh("hub_48", '{"bms_temperature": 15.0, "connection_status": "offline"}')
    assert not fresh("hub_48", '{"bms_temperature": null, "connection_status": "online"}')
    assert not fresh("hub_combined", '{"combined_current": null}')
