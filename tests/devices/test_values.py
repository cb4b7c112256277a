"""What is worked out from the registers of each family."""

from datetime import date

import pytest

from renogybt import devices
from renogybt.devices import history
from renogybt.protocol.modbus import parse_request
from tests.frames import named, of_kind

# The predecessors' published names (their unit and spelling, to the letter)
PUBLISHED = {
    "controller": """model device_id battery_percentage battery_voltage battery_current battery_temperature
        controller_temperature load_status load_voltage load_current load_power pv_voltage pv_current pv_power
        max_charging_power_today max_discharging_power_today charging_amp_hours_today discharging_amp_hours_today
        power_generation_today power_consumption_today power_generation_total charging_status battery_type""",
    "history": "daily_power_generation daily_charge_ah daily_max_power",
    "battery": """model device_id cell_count cell_voltage_0 cell_voltage_15 sensor_count temperature_0 current voltage
        remaining_charge capacity power battery_level energy_in_kwh energy_out_kwh cell_voltage_min cell_voltage_max
        temperature_min temperature_max""",
    "inverter": """model device_id input_voltage input_current output_voltage output_current output_frequency
        battery_voltage temperature input_frequency battery_percentage charging_current solar_voltage solar_current
        solar_power charging_status charging_power load_curent load_current load_active_power load_apparent_power
        line_charging_current load_percentage""",
    "inverter_hf": """ac_input_voltage ac_input_frequency ac_voltage_setting battery_discharge_current
        battery_temperature internal_temperature ac_input_present battery_current charging_active charging_power_amps
        operating_mode_raw operating_mode charging_current max_charging_current_setting model device_id""",
    "dc_charger": """model device_id battery_percentage battery_voltage combined_charge_current controller_temperature
        battery_temperature alternator_voltage alternator_current alternator_power pv_voltage pv_current pv_power
        battery_min_voltage_today battery_max_voltage_today battery_max_current_today max_charging_power_today
        charging_amp_hours_today power_generation_today total_working_days count_battery_overdischarged
        count_battery_fully_charged battery_ah_total_accumulated power_generation_total charging_status error
        battery_type""",
    "shunt": """main_battery_percent main_battery_voltage starter_battery_voltage charge_amps charge_watts
        battery_temperature energy_in_kwh energy_out_kwh""",
    "bank:48,49": """combined_voltage combined_current combined_power combined_charge_percentage
        combined_remaining_charge combined_capacity combined_energy_in_kwh combined_energy_out_kwh
        battery_48_cell_voltage_min battery_49_cell_voltage_max battery_48_temperature_min battery_49_temperature_max""",
}


@pytest.mark.parametrize("key", PUBLISHED)
def test_published_keys_stay(key):
    assert set(PUBLISHED[key].split()) <= set(devices.family(key).keys())


@pytest.mark.parametrize("key", devices.FAMILIES)
def test_variants_publish_under_the_name_of_their_kind(key):
    clients = {
        "controller": "RoverClient",
        "history": "RoverHistoryClient",
        "battery": "BatteryClient",
        "dc": "DCChargerClient",
        "inverter": "InverterClient",
        "shunt": "ShuntClient",
    }
    expected = "HFInverterClient" if key == "inverter_hf" else clients[key.split("_")[0]]
    assert devices.family(key).client == expected


@pytest.mark.parametrize(
    ("key", "row", "unit"),
    [
        ("controller", "power_generation_total", "Wh"),
        ("dc_charger", "power_generation_total", "Wh"),
        ("controller", "charging_amp_hours_today", "Ah"),
        ("battery", "energy_in_kwh", "kWh"),
        ("shunt", "energy_out_kwh", "kWh"),
        ("battery", "energy_in_today_kwh", "kWh"),
        ("shunt", "energy_out_today_kwh", "kWh"),
        ("bank:48,49", "combined_energy_out_today_kwh", "kWh"),
        ("battery", "remaining_charge", "Ah"),
    ],
)
def test_units_stay(key, row, unit):
    assert devices.family(key).row(row).quantity.unit == unit


def snapshot(name):
    """The values of all frames of one captured moment, with what follows from them."""
    frames = [frame for frame in of_kind("read_reply") if frame["snapshot"] == name]
    tables = {"battery_legacy": "battery", "battery_pro": "battery_rngrbp", "dcc": "dc_charger"}
    family = devices.family(tables.get(frames[0]["family"], frames[0]["family"]))
    values = {}
    for frame in frames:
        payload = bytes.fromhex(frame["response"])[3:-2]
        values |= family.decode(frame["register"], payload).values
    return family.derive(values)


def test_controller_problem():
    family = devices.family("controller")
    assert family.derive(family.decode(289, bytes.fromhex("01010000")).values)["problem"] is True
    assert family.derive(family.decode(289, bytes.fromhex("00000000")).values)["problem"] is False
    assert family.derive(family.decode(289, bytes.fromhex("00000002")).values)["problem"] is True
    short = family.derive(family.decode(289, bytes.fromhex("0101")).values)
    assert short["problem"] is True
    assert short["faults"] == ["battery_overdischarge", "pv_input_short"]
    assert "fault_code" not in short


def test_a_lone_second_fault_word_has_no_names():
    values = devices.family("controller").decode(289, bytes.fromhex("00000002")).values
    assert (values["faults"], values["fault_code"]) == ([], 2)


def test_unknown_codes_are_shown():
    family = devices.family("controller")
    assert family.decode(288, b"\x00\x07").values["charging_status"] == "unknown (7)"
    assert family.decode(57348, b"\x00\x09").values["battery_type"] == "unknown (9)"


def test_battery_values_from_a_capture():
    values = snapshot("rbt100-bt")
    assert values["power"] == -11.7
    assert values["battery_level"] == 97.2
    assert values["temperature"] == 17.0
    assert (values["cell_voltage_min"], values["cell_voltage_max"], values["cell_voltage_delta"]) == (3.3, 3.5, 0.2)
    assert values["stored_energy"] == 1244
    assert values["problem"] is False
    assert values["protections"] == []


def test_pro_battery_values_from_a_capture():
    values = snapshot("rngrbp")
    assert values["power"] == -15.96
    assert values["battery_level"] == 98.6
    assert (values["temperature"], values["temperature_min"], values["temperature_max"]) == (27.2, 26.8, 27.5)


def test_state_of_charge_needs_a_capacity():
    family = devices.family("battery")
    assert "battery_level" not in family.derive({"remaining_charge": 50.0, "capacity": None})
    assert family.derive({"remaining_charge": 50.0, "capacity": 0})["battery_level"] is None
    assert "battery_level" not in family.derive({"remaining_charge": 50.0, "capacity": 10.0})


@pytest.mark.parametrize(
    ("words", "protections", "warnings", "any_battery", "rngpro"),
    [
        ("0000 0000 0000 0000 0000 0000 000e 0a00", [], [], False, False),
        ("0000 0000 0000 0000 0000 0000 0001 0000", ["short_circuit"], [], True, True),
        (
            "0000 0000 0000 0000 0000 0000 8046 0081",
            ["module_overvoltage", "module_undervoltage"],
            ["cell_low_voltage", "discharge_high_temperature"],
            True,
            True,
        ),
        ("0000 00aa 0000 0000 0000 0000 0006 0000", [], [], True, False),
        ("0000 0000 0000 0020 0000 0000 0006 0000", [], [], False, False),  # perhaps only the heater's level
        ("0000 0000 0000 0200 0000 0000 0006 0000", [], [], True, False),
        ("0000 0000 0000 0000 8000 0000 0006 0000", [], [], True, False),
    ],
)
def test_battery_problem(words, protections, warnings, any_battery, rngpro):
    payload = bytes.fromhex(words)
    for key, problem in (("battery", any_battery), ("battery_rngrbp", any_battery), ("battery_rngpro", rngpro)):
        family = devices.family(key)
        values = family.derive(family.decode(5100, payload).values)
        assert (values["protections"], values["warnings"]) == (protections, warnings)
        assert values["problem"] is problem


def test_no_problem_is_claimed_when_alarms_were_not_read():
    assert "problem" not in devices.family("battery").derive({"voltage": 13.1, "current": 1.0})


def test_dc_charger_error_is_the_most_urgent_alarm():
    family = devices.family("dc_charger")
    many = family.derive(family.decode(288, bytes.fromhex("000801201004")).values)
    assert many["error"] == "alternator_over_voltage"
    assert many["problem"] is True
    none = family.derive(family.decode(288, bytes.fromhex("000200000000")).values)
    assert (none["error"], none["alarms"], none["problem"]) == (None, [], False)


def test_every_named_alarm_but_the_fan_has_a_rank():
    family = devices.family("dc_charger")
    names = set(next(row for row in family.fields if row.key == "alarms").codec.names.values())
    alone = {name: family.derive({"alarms": [name]})["error"] for name in names}
    assert alone == {name: None if name == "fan" else name for name in names}


def test_g6_reads_its_status_at_the_end_of_the_long_block():
    family = devices.family("dc_charger_g6")
    payload = bytes(64) + bytes.fromhex("00020220")
    found = family.decode(256, payload).values
    assert (found["charging_status"], found["alarms"]) == ("mppt", ["alternator_over_current", "starter_reverse_polarity"])
    assert family.row("output_power") is None
    assert all(start != 288 for window in family.windows for start, _ in window.spans)


@pytest.mark.parametrize(
    ("volts", "amps", "power", "believed"),
    [(0.0, 0.0, 240, 0), (20.0, 5.0, 100, 100), (20.0, 5.0, 108, 108), (20.0, 5.0, 160, 100), (0.0, 0.0, 8, 8)],
)
def test_solar_power_that_is_really_the_alternators(volts, amps, power, believed):
    values = devices.family("dc_charger").derive({"pv_voltage": volts, "pv_current": amps, "pv_power": power})
    assert values["pv_power"] == believed


@pytest.mark.parametrize(
    ("raw", "apparent", "volts", "amps"),
    [
        (12, 150, 124.9, 1.2),  # REGO
        (2, 22, 113.1, 0.2),  # RIV4835
        (120, 150, 124.9, 1.2),  # hundredths
        (9000, 11250, 125.0, 90.0),
        (4, 5, 120.0, 0.4),  # too little to tell
        (12, 0, 0.0, 1.2),
    ],
)
def test_load_current_scale(raw, apparent, volts, amps):
    family = devices.family("inverter")
    found = family.decode(4408, raw.to_bytes(2, "big")).values
    values = family.derive(found | {"load_apparent_power": apparent, "output_voltage": volts})
    assert values["load_current"] == values["load_curent"] == pytest.approx(amps)


def test_an_impossible_load_current_is_left_out():
    values = devices.family("inverter").derive({"load_current": 900.0, "load_apparent_power": 0, "output_voltage": 120.0})
    assert "load_current" not in values
    assert "load_curent" not in values


@pytest.mark.parametrize(
    ("key", "current", "power", "normal"),
    [
        ("inverter_rego", 0.7, 10, 0.7),
        ("inverter_rego", -4.0, 0, -4.0),
        ("inverter", -1.0, 360, 1.0),
        ("inverter", 6.7, 0, -6.7),
        ("inverter", 0.0, 0, 0.0),
        ("inverter_riv4835", -49.5, 2535, 49.5),
        ("inverter_riv4835", 6.7, 0, -6.7),
        ("inverter_riv4835", 0.0, 0, 0.0),
    ],
)
def test_battery_current_is_positive_while_charging(key, current, power, normal):
    values = devices.family(key).derive({"charging_current": current, "charging_power": power})
    assert values["battery_current"] == normal
    assert str(values["battery_current"]) == str(normal)
    assert values["charging_current"] == current


def test_a_word_of_ffff_means_that_an_inverter_has_no_such_value():
    family = devices.family("inverter")
    assert set(family.decode(4000, b"\xff" * 20).values.values()) == {None}
    assert set(family.decode(4327, b"\xff" * 14).values.values()) == {None}


def test_inverter_faults():
    family = devices.family("inverter_riv4835")
    sick = family.derive(family.decode(4398, bytes.fromhex("0014000000630000")).values)
    assert sick["faults"] == ["inverter_over_temperature (20)", "unknown (99)"]
    assert sick["problem"] is True
    assert family.derive(family.decode(4398, bytes(8)).values)["problem"] is False
    unreadable = family.derive(family.decode(4398, bytes.fromhex("000000000000ffff")).values)
    assert "problem" not in unreadable
    assert "faults" not in unreadable


# History


def test_records_have_dates():
    day = history.record({"day_generation": 1804}, date(2026, 3, 2), 3)
    assert day == {"date": "2026-02-27", "days_ago": 3, "day_generation": 1804}
    assert history.days_ago(61443) == 3
    with pytest.raises(ValueError, match="no day of the history"):
        history.days_ago(61439)


def test_summary_of_the_captured_week():
    family = devices.family("history")
    records = []
    for frame in of_kind("read_reply"):
        if frame["snapshot"] == "history-week":
            register = parse_request(bytes.fromhex(frame["request"])).register
            values = family.decode(register, bytes.fromhex(frame["response"])[3:-2]).values
            records.append(history.record(values, date(2026, 6, 10), history.days_ago(register)))
    told = history.summary(reversed(records))
    assert told["daily_power_generation"] == [1754, None, None, 1804, None, 1630, 1344]
    assert told["daily_charge_ah"] == [135, None, None, 139, None, 125, 102]
    assert told["daily_max_power"] == [234, None, None, 335, None, 307, 290]
    assert [day["date"] for day in told["daily"]] == ["2026-06-10", "2026-06-09", "2026-06-07", "2026-06-04"]
    assert told["daily"][0]["day_max_voltage"] == 14.2
    assert list(family.complete(told)) == ["daily_power_generation", "daily_charge_ah", "daily_max_power", "daily"]


def test_empty_days_count_as_zero_in_the_arrays_and_are_no_records():
    nothing = devices.family("history").decode(61445, bytes(20)).values
    told = history.summary([history.record(nothing, date(2026, 6, 10), 5)])
    assert told["daily_charge_ah"] == [None, 0, None, None, None, None, None]
    assert told["daily"] == []


def test_a_day_is_asked_for_by_itself_in_ten_words():
    spans = [span for window in devices.family("history").windows for span in window.spans]
    assert spans == [(61440 + ago, 10) for ago in range(7)]


def test_the_frame_with_a_fault_names_it_for_every_reader():
    frame = named("ctrl-35-words-faults")
    family = devices.family("controller")
    values = family.derive(family.decode(256, bytes.fromhex(frame["response"])[3:-2]).values)
    assert values["problem"] is True
