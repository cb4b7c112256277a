"""The simulated system obeys physics closely enough that nobody wonders about its figures."""

from itertools import pairwise

import pytest

from renogybt.simulator.chance import chance, drift
from renogybt.simulator.household import drives
from renogybt.simulator.pack import Pack, current_at, resting_voltage, voltage_with
from renogybt.simulator.plant import CONTROLLER_LIMIT, MPPT_EFFICIENCY, STEP, Plant
from renogybt.simulator.weather import DAY, HOUR, air, clear_sky, sunlight

START = 20_000 * DAY + 10 * HOUR
SEEDS = (1, 2, 5)


@pytest.fixture(scope="module", params=SEEDS)
def week(request: pytest.FixtureRequest) -> list[dict[str, float]]:
    """Every step of a week, as plain figures."""
    plant = Plant(request.param, START)
    rows = []
    while plant.time < START + 7 * DAY:
        before = [pack.charge * pack.capacity for pack in plant.packs]
        plant.advance(plant.time + STEP)
        flows = plant.flows
        rows.append(
            {
                "time": plant.time,
                "sun": flows.sun,
                "voltage": flows.voltage,
                "solar": flows.solar,
                "alternator": flows.alternator,
                "line": flows.line,
                "load": flows.load,
                "inverter": flows.inverter,
                "bank": flows.bank,
                "pv_power": flows.pv_power,
                "soc": plant.state_of_charge,
                "stored": sum(p.charge * p.capacity for p in plant.packs) - sum(before),
                "packs": sum(pack.current for pack in plant.packs),
                "coldest": min(pack.temperature for pack in plant.packs),
                "hottest": max(plant.warmth.controller, plant.warmth.dcc, plant.warmth.inverter),
                "generation": plant.controller.generation,
                "consumption": plant.controller.consumption,
                "dcc_ah": plant.dcc.charge_ah,
                "days": plant.controller.days,
                "today": plant.controller.today.generation,
            }
        )
    return rows


def test_currents_add_up_at_every_moment(week):
    for row in week:
        flowing = row["solar"] + row["alternator"] + row["line"] - row["load"] - row["inverter"]
        assert flowing == pytest.approx(row["bank"], abs=1e-9)
        assert row["packs"] == pytest.approx(row["bank"], abs=1e-6)


def test_what_flows_in_is_what_is_stored(week):
    flown = sum(row["bank"] for row in week) * STEP / 3600
    stored = sum(row["stored"] for row in week)
    assert stored == pytest.approx(flown, abs=0.005)


def test_everything_stays_where_such_a_system_stays(week):
    for row in week:
        assert 11.0 < row["voltage"] < 14.6
        assert 0.02 < row["soc"] <= 1.0
        assert 0 <= row["solar"] <= CONTROLLER_LIMIT
        assert min(row["load"], row["inverter"], row["alternator"], row["line"]) >= 0
        assert -5 < row["coldest"] < 40
        assert row["hottest"] < 75


def test_nothing_comes_from_the_panels_beyond_the_sun(week):
    assert all(row["pv_power"] <= 1.02 * 620 * row["sun"] + 1 for row in week)
    assert all(row["pv_power"] == 0 for row in week if row["time"] % DAY < 5 * HOUR)
    assert max(row["pv_power"] for row in week) > 250


def test_the_bank_is_used(week):
    charges = [row["soc"] for row in week]
    assert max(charges) - min(charges) > 0.3


@pytest.mark.parametrize("counter", ["generation", "consumption", "dcc_ah", "days"])
def test_counters_never_fall(week, counter):
    values = [row[counter] for row in week]
    assert all(later >= earlier for earlier, later in pairwise(values))
    assert values[-1] > values[0]


def test_day_counters_fall_at_midnight_and_only_then(week):
    falls = [later for earlier, later in pairwise(week) if later["today"] < earlier["today"]]
    assert len(falls) == 7
    assert all(row["time"] % DAY < STEP for row in falls)


def test_the_meter_counts_what_flowed(week):
    counted = week[-1]["generation"] - week[0]["generation"]
    flown = sum(row["solar"] * row["voltage"] for row in week[1:]) * STEP / 3600
    assert counted == pytest.approx(flown, rel=1e-6)
    assert counted == pytest.approx(sum(row["pv_power"] for row in week[1:]) * STEP / 3600 * MPPT_EFFICIENCY, rel=1e-6)


def test_same_seed_same_system():
    once, in_bits, other = Plant(3, START), Plant(3, START), Plant(4, START)
    once.advance(START + HOUR)
    for second in range(0, 3601, 7):
        in_bits.advance(START + second)
    in_bits.advance(START + HOUR)
    other.advance(START + HOUR)
    assert once == in_bits
    assert once.flows != other.flows
    assert once.packs != other.packs


def test_time_that_has_passed_changes_nothing():
    plant = Plant(3, START)
    plant.advance(START + HOUR)
    flows, time = plant.flows, plant.time
    plant.advance(START)
    assert (plant.flows, plant.time) == (flows, time)


def test_a_new_system_has_a_week_behind_it():
    meter = Plant(2, START).controller
    assert len(meter.past) == 7
    assert all(day.generation > 100 and day.min_voltage < day.max_voltage for day in meter.past)
    assert meter.day(1) is meter.past[0]
    assert meter.day(200).generation == 0
    assert sum(day.generation for day in [meter.today, *meter.past]) == pytest.approx(meter.generation - 329_000)


def test_batteries_differ_but_share():
    plant = Plant(1, START)
    plant.advance(START + 6 * HOUR)
    assert len({round(pack.capacity, 2) for pack in plant.packs}) == 4
    assert len({round(pack.remaining, 3) for pack in plant.packs}) == 4
    shares = [pack.charge for pack in plant.packs]
    assert max(shares) - min(shares) < 0.05


def test_switching_the_load_off_stops_it():
    plant = Plant(1, START)
    plant.load_on = False
    plant.advance(START + HOUR)
    assert plant.flows.load == 0


def test_shore_power_rescues_an_empty_bank():
    plant = Plant(1, START, charge=0.1)
    plant.packs = [Pack.made(1, number, 0.1) for number in range(4)]
    plant.advance(START + STEP)
    assert plant.shore
    assert plant.flows.line > 0
    assert plant.flows.inverter == 0
    plant.advance(START + 10 * HOUR)
    assert not plant.shore
    assert plant.state_of_charge > 0.4


def test_parallel_packs_settle_between_their_resting_voltages():
    packs = [Pack.made(1, 0, 0.3), Pack.made(1, 1, 0.9)]
    volts = voltage_with(packs, 0.0, False)
    assert packs[0].rest < volts < packs[1].rest
    assert current_at(packs, volts, False) == pytest.approx(0, abs=1e-9)
    assert voltage_with(packs, current_at(packs, 13.9), True) == pytest.approx(13.9)


def test_a_fuller_cell_has_more_volts():
    volts = [resting_voltage(step / 100) for step in range(101)]
    assert volts == sorted(volts)
    assert volts[0] == pytest.approx(2.8)
    assert volts[-1] == pytest.approx(3.4)


def test_cells_add_up_to_the_battery():
    assert sum(Pack.made(1, 0, 0.5).cells(13.2)) == pytest.approx(13.2)


def test_a_full_battery_takes_less():
    assert Pack.made(1, 0, 0.99).barrier(True) > 4 * Pack.made(1, 0, 0.5).barrier(True)


def test_the_sun_keeps_hours():
    assert clear_sky(START + 2.5 * HOUR) > clear_sky(START) > clear_sky(START - 3 * HOUR) > 0
    assert clear_sky(20_000 * DAY + 2 * HOUR) == 0
    assert all(0 <= sunlight(1, START + minute * 60) <= 1 for minute in range(0, 3 * 1440, 7))
    assert air(1, 20_000 * DAY + 15 * HOUR) > air(1, 20_000 * DAY + 4 * HOUR)


def test_chance_repeats_itself_and_spreads():
    drawn = [chance(1, number) for number in range(2000)]
    assert drawn == [chance(1, number) for number in range(2000)]
    assert 0 <= min(drawn) < 0.01
    assert 0.99 < max(drawn) < 1
    assert sum(drawn) / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert chance(1, 2) != chance(2, 1)


def test_drift_does_not_jump():
    curve = [drift(1, 2, second, 600) for second in range(0, 6000, 10)]
    assert max(abs(later - earlier) for earlier, later in pairwise(curve)) < 0.05


def test_somebody_drives_now_and_then():
    days = [len(drives(5, day)) for day in range(100)]
    assert 50 < sum(days) < 200
