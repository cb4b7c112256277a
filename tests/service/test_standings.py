"""What is said of a device that is not read, minute by minute, on a clock of our own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.reading import Failure, Identity, Reading, Standing
from renogybt.service.standings import PAUSE, Standings
from renogybt.settings import Availability

ROVER = Identity("84:28:D7:FF:00:01", 255, "rover")
BANK = Identity("80:6F:B0:0F:12:34", None, "hub", shared=True)
ORDER = ["online", "stale", "blank", "offline"]
MINUTE = 60.0


@dataclass
class World:
    """A device that is read each `period`, and a main loop that asks each second what there is to say."""

    period: float = 60.0
    availability: Availability = field(default_factory=Availability)
    identity: Identity = ROVER
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.standings = Standings(self.availability, {self.identity.uid: self.period})
        self.said: list[tuple[float, Standing]] = []

    def good(self, at: float | None = None) -> Reading:
        moment = self.now if at is None else at
        reading = Reading(self.identity, "controller", {"pv_power": 1}, 0.0, moment)
        self.standings.good(reading)
        return reading

    def failed(self, at: float | None = None) -> None:
        self.standings.failed(Failure(self.identity, "no answer", self.now if at is None else at, 0.0))

    def passes(self, seconds: float, failing_every: float = 0.0, step: float = 1.0) -> None:
        """Time goes by; a cycle fails now and again each `failing_every` seconds."""
        end, next_failure = self.now + seconds, self.now
        while self.now < end:
            if failing_every and self.now >= next_failure:
                next_failure += failing_every
                self.failed()
            self.look()
            self.now += step

    def look(self) -> list[Standing]:
        found = self.standings.due(self.now)
        self.said += [(self.now, standing) for standing in found]
        return found

    @property
    def shown(self) -> str:
        return self.said[-1][1].stage if self.said else "online"

    def changes(self, since: float) -> list[tuple[float, str]]:
        """When which stage was said first, in seconds after `since`."""
        stages = [(at - since, standing.stage) for at, standing in self.said]
        return [item for n, item in enumerate(stages) if n == 0 or item[1] != stages[n - 1][1]]


@pytest.mark.parametrize("identity", [ROVER, BANK])
def test_an_outage_minute_by_minute(identity: Identity) -> None:
    world = World(identity=identity)
    last = world.good()
    start = world.now
    assert world.look() == []
    shown = {}
    world.now += 60  # its next turn comes, and fails
    for minute in range(1, 13):
        world.passes(MINUTE, failing_every=30)
        shown[minute] = world.shown
    assert shown == {
        **dict.fromkeys(range(1, 5), "stale"),
        **dict.fromkeys(range(5, 10), "blank"),
        **dict.fromkeys(range(10, 13), "offline"),
    }
    assert world.changes(start) == [(60, "stale"), (300, "blank"), (600, "offline")]
    assert all(standing.reading is last for _, standing in world.said)
    assert all(standing.age == at - start for at, standing in world.said)
    world.good()
    assert world.look() == []
    world.now += 30
    world.failed()
    (standing,) = world.look()
    assert (standing.stage, standing.age) == ("stale", 30)


def test_the_age_moves_with_each_failed_cycle_but_not_too_often() -> None:
    world = World(period=1)
    world.good()
    start = world.now
    world.now += 1
    world.passes(50, failing_every=1)
    assert [at - start for at, _ in world.said] == [1, 11, 21, 31, 41]
    world.passes(260, failing_every=1)
    world.passes(600, failing_every=1)
    after = [(at - start, standing.stage) for at, standing in world.said if standing.stage != "stale"]
    assert after == [(300, "blank"), (600, "offline")]


def test_without_any_more_failures_the_age_still_moves_now_and_then() -> None:
    world = World()
    world.good()
    start = world.now
    world.now += 60
    world.failed()
    world.passes(700)
    assert [(at - start, standing.stage) for at, standing in world.said] == [
        (60, "stale"),
        (120, "stale"),
        (180, "stale"),
        (240, "stale"),
        (300, "blank"),
        (600, "offline"),
    ]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (1, [(90, "stale"), (300, "blank"), (600, "offline")]),
        (60, [(150, "stale"), (300, "blank"), (600, "offline")]),
        (3600, [(5400, "blank"), (9000, "offline")]),
    ],
)
def test_a_reader_that_is_stuck_and_reports_nothing(period: float, expected: list[tuple[float, str]]) -> None:
    world = World(period=period)
    world.good()
    start = world.now
    world.passes(12000)
    assert world.changes(start) == expected


@pytest.mark.parametrize("period", [1, 10, 60, 300, 600, 3600, 86400])
def test_a_device_that_is_read_in_time_is_never_anything_but_read(period: float) -> None:
    world = World(period=period)
    for late in (0.0, 0.4, 0.1, 0.4):
        world.good()
        world.passes(period + min(85.0, late * period), step=max(1.0, period / 100))
    assert world.said == []


def test_limits_of_zero_wait_for_a_failure() -> None:
    world = World(availability=Availability(stale_seconds=0, offline_seconds=0))
    for _ in range(3):
        world.good()
        world.passes(85)
    assert world.said == []
    world.failed()
    assert [standing.stage for standing in world.look()] == ["offline"]


def test_a_long_period_stretches_the_limits() -> None:
    world = World(period=3600)
    world.good()
    start = world.now
    world.now += 3600
    world.passes(7200, failing_every=30)
    assert world.changes(start) == [(3600, "stale"), (5400, "blank"), (9000, "offline")]


@pytest.mark.parametrize(
    ("availability", "expected"),
    [
        (Availability(stale_seconds=0, offline_seconds=0), [(60, "offline")]),
        (Availability(stale_seconds=0, offline_seconds=600), [(60, "blank"), (600, "offline")]),
        (Availability(stale_seconds=900, offline_seconds=600), [(60, "stale"), (600, "offline")]),
        (Availability(stale_seconds=120, offline_seconds=180), [(60, "stale"), (120, "blank"), (180, "offline")]),
        (Availability(stale_seconds=10, offline_seconds=20), [(60, "stale"), (90, "blank"), (150, "offline")]),
    ],
)
def test_limits_are_settable(availability: Availability, expected: list[tuple[float, str]]) -> None:
    world = World(availability=availability)
    world.good()
    start = world.now
    world.now += 60
    world.passes(1200, failing_every=30)
    assert world.changes(start) == expected


def test_a_device_that_was_never_read_is_offline_at_its_first_failure_and_that_is_said_once() -> None:
    world = World()
    assert world.look() == []
    world.passes(120)
    assert world.said == []
    world.passes(3600, failing_every=30)
    ((_, standing),) = world.said
    assert standing == Standing(ROVER, "offline", None, None)
    world.good()
    assert world.look() == []


def test_released_until_it_is_read_again() -> None:
    world = World()
    last = world.good()
    start = world.now
    world.now += 20
    world.standings.released(ROVER, world.now + 200)
    world.passes(210)
    assert world.changes(start) == [(20, "released")]
    assert [at - start for at, _ in world.said] == [20, 80, 140, 200]
    assert world.said[-1][1] == Standing(ROVER, "released", last, 200)
    world.good()
    world.passes(60)
    assert world.said[-1][0] == start + 200


def test_values_grow_too_old_while_released_too() -> None:
    world = World()
    world.good()
    start = world.now
    world.standings.released(ROVER, start + 3600)
    world.passes(3600)
    assert world.changes(start) == [(0, "released"), (300, "blank"), (600, "offline")]


def test_a_device_that_does_not_come_back_after_its_release() -> None:
    world = World()
    world.good()
    start = world.now
    world.standings.released(ROVER, start + 120)
    world.passes(100, failing_every=30)
    world.now = start + 120
    world.passes(60, failing_every=30)
    assert world.changes(start) == [(0, "released"), (120, "stale")]


def test_resumed_the_next_attempt_decides() -> None:
    for attempt, expected in (("good", ["released"]), ("failed", ["released", "stale"])):
        world = World()
        world.good()
        world.standings.released(ROVER, world.now + 600)
        world.passes(30)
        world.standings.resumed(ROVER)
        world.passes(1)
        getattr(world, attempt)()
        world.passes(12)
        assert [stage for _, stage in world.changes(0)] == expected
        assert bool(world.look()) is False


def test_a_reading_still_under_way_does_not_end_a_release() -> None:
    world = World()
    world.good()
    world.standings.released(ROVER, world.now + 600)
    world.look()
    world.now += 3
    late = world.good()
    assert world.look() == [Standing(ROVER, "released", late, 0)]


def test_released_without_ever_having_been_read() -> None:
    world = World()
    world.standings.released(ROVER, world.now + 60)
    assert world.look() == [Standing(ROVER, "released", None, None)]
    world.passes(61)
    world.failed()
    assert world.look() == [Standing(ROVER, "offline", None, None)]


def test_what_is_older_than_the_last_reading_is_of_no_account() -> None:
    world = World()
    last = world.good()
    world.good(at=world.now - 50)
    world.failed(at=world.now - 1)
    assert world.look() == []
    world.now += 5
    world.failed()
    assert world.look() == [Standing(ROVER, "stale", last, 5)]


def test_one_device_says_nothing_about_another() -> None:
    other = replace(ROVER, mac="84:28:D7:FF:00:02")
    standings = Standings(Availability(), {ROVER.uid: 60.0, other.uid: 60.0})
    for identity in (ROVER, other):
        standings.good(Reading(identity, "controller", {}, 0.0, 0.0))
    standings.failed(Failure(ROVER, "no answer", 60.0, 0.0))
    assert [standing.identity for standing in standings.due(60.0)] == [ROVER]


steps = st.lists(
    st.tuples(
        st.sampled_from(["good", "late", "failed", "released", "resumed", "wait"]),
        st.floats(0, 400, allow_nan=False),
    ),
    max_size=40,
)


@given(steps, st.sampled_from([1.0, 60.0, 400.0]), st.sampled_from([0.0, 5.0, 300.0]), st.sampled_from([0.0, 10.0, 600.0]))
def test_whatever_happens(events: list[tuple[str, float]], period: float, stale: float, offline: float) -> None:
    world = World(period, Availability(stale_seconds=stale, offline_seconds=offline))
    newest: Reading | None = None
    lent = False
    before, said_at = "online", -1e9
    for what, seconds in events:
        if what == "good":
            newest, before = world.good(), "online"
        elif what == "late" and newest is not None:
            world.good(at=newest.monotonic - 1)
        elif what == "failed":
            world.failed()
        elif what == "released":
            world.standings.released(ROVER, world.now + 100)
            lent = True
        elif what == "resumed":
            world.standings.resumed(ROVER)
        for standing in world.look():
            assert standing.reading is newest
            if newest is None:
                assert standing.age is None
                assert standing.stage in ("offline", "released")
            else:
                assert standing.age == world.now - newest.monotonic
                if standing.stage in ("stale", "released"):
                    assert standing.age < max(stale, 1.5 * period)
                if not lent:
                    assert ORDER.index(standing.stage) >= ORDER.index(before)
            assert standing.stage != before or world.now - said_at >= PAUSE
            before, said_at = standing.stage, world.now
        assert world.look() == []
        world.now += seconds
    if newest is not None and not lent:
        world.failed()
        last = newest.monotonic + max(offline, 2.5 * period)
        world.now = max(world.now, last + 1e-6)  # the difference of two floats may fall short of the sum
        world.look()
        assert world.said[-1][1].stage == "offline"
