"""Inverters and inverter-chargers: REGO RIV1230RCH, RIV12xxPU, RIV4835CSH1S and Lycan.

The layout is SRNE's own inverter map, moved. A word of 0xFFFF means that the unit has no such value.
"""

from dataclasses import replace

from renogybt.devices.module import INVERTER_MODULE
from renogybt.protocol.codec import Choice, Number, Text
from renogybt.protocol.quantity import (
    APPARENT_POWER,
    CURRENT,
    IDENTITY,
    INNER_FREQUENCY,
    INNER_TEMPERATURE,
    PERCENT,
    POWER,
    PROBLEM,
    SET_CURRENT,
    SET_VOLTAGE,
    SOC,
    STATE,
    VOLTAGE,
)
from renogybt.protocol.table import Derived, Family, Field, When, Window, hidden, numbered

NONE = 0xFFFF
WORD, TENTHS, HUNDREDTHS = Number(absent=NONE), Number(per=10, absent=NONE), Number(per=100, absent=NONE)
SIGNED_TENTHS = Number(signed=True, per=10, absent=NONE)

CHARGING = {
    0: "deactivated",
    1: "constant current",
    2: "constant voltage",
    4: "floating",
    6: "battery activation",
    7: "battery disconnecting",
}
STATES = {
    0: "power-on",
    1: "waiting",
    2: "initialising",
    3: "soft start",
    4: "grid",
    5: "inverter",
    6: "inverter to grid",
    7: "grid to inverter",
    8: "hybrid",
    10: "shutdown",
    11: "fault",
}
PRIORITIES = {0: "solar", 1: "grid", 2: "battery"}
FAULTS = {
    1: "battery_low",
    2: "battery_over_current_software",
    3: "battery_open",
    4: "battery_low_end_of_discharge",
    5: "battery_over_current_hardware",
    6: "battery_over_voltage",
    7: "bus_over_voltage_hardware",
    8: "bus_over_voltage_software",
    9: "pv_over_voltage",
    10: "pv_over_current",
    11: "pv_over_current",
    12: "internal_communication",
    13: "overload_on_bypass",
    14: "overload_on_inverter",
    15: "ac_over_current",
    17: "output_short",
    18: "bus_soft_start",
    19: "mppt_over_temperature",
    20: "inverter_over_temperature",
    21: "fan",
    22: "memory",
    23: "model_number",
    24: "bus_unbalanced",
    25: "bus_short",
    26: "relay_short",
    28: "input_phase",
    29: "bus_low",
    30: "battery_capacity_low",
    31: "battery_capacity_low",
    32: "battery_capacity_low",
    34: "can",
    35: "parallel_address",
    **dict.fromkeys(range(36, 41), "parallel"),
    41: "inverter_dc",
    42: "firmware_mismatch",
    43: "parallel_wiring",
    44: "serial_number",
    45: "split_phase_setting",
    56: "insulation",
    57: "leakage",
    58: "bms_communication",
    59: "bms_stops_charging",
    60: "bms_under_temperature",
    61: "bms_over_temperature",
    62: "bms_over_current",
    63: "bms_under_voltage",
    64: "bms_over_voltage",
}
"""SRNE's list. Renogy's firmware may mean something else by a number, so the number is published with the word."""

NAME = (
    Field(4109, "device_id", WORD, IDENTITY, accept=(1, 247), note="address on the bus"),
    Field(4311, "model", Text(16), IDENTITY),
)

LIVE = (
    # Mains side and output. A frequency of 0 means that there is no voltage.
    Field(4000, "input_voltage", TENTHS, VOLTAGE, label="AC input voltage", accept=(0, 280)),
    Field(4001, "input_current", HUNDREDTHS, CURRENT, label="AC input current", accept=(0, 120)),
    Field(4002, "output_voltage", TENTHS, VOLTAGE, label="AC output voltage", accept=(0, 280)),
    Field(4003, "output_current", HUNDREDTHS, CURRENT, label="AC output current", accept=(0, 120)),
    Field(4004, "output_frequency", HUNDREDTHS, INNER_FREQUENCY, label="AC output frequency", accept=(0, 70)),
    Field(4005, "battery_voltage", TENTHS, VOLTAGE, accept=(8, 70)),
    Field(4006, "temperature", SIGNED_TENTHS, INNER_TEMPERATURE, accept=(-40, 120)),
    Field(4009, "input_frequency", HUNDREDTHS, INNER_FREQUENCY, label="AC input frequency", accept=(0, 70)),
    # Battery and panels. Which sign of the current means charging depends on the model; battery_current settles it.
    Field(4327, "battery_percentage", WORD, SOC, label="Battery", accept=(0, 100)),
    Field(4328, "charging_current", SIGNED_TENTHS, CURRENT, accept=(-300, 300), note="sign depends on the model"),
    Field(4329, "solar_voltage", TENTHS, VOLTAGE, accept=(0, 520)),
    Field(4330, "solar_current", TENTHS, CURRENT, accept=(0, 150)),
    Field(4331, "solar_power", WORD, POWER, accept=(0, 10000)),
    Field(
        4332,
        "charging_status",
        Choice(CHARGING, absent=NONE),
        STATE.but(icon="mdi:battery-charging"),
        label="Charging state",
    ),
    Field(4333, "charging_power", WORD, POWER, accept=(0, 10000)),
    # Load
    Field(4408, "load_current", TENTHS, CURRENT, was="load_curent", accept=(0, 1200), precision=1),
    Field(4409, "load_active_power", WORD, POWER, label="Load power", accept=(0, 15000)),
    Field(4410, "load_apparent_power", WORD, APPARENT_POWER, accept=(0, 15000)),
    Field(4412, "line_charging_current", TENTHS, CURRENT, label="Mains charging current", accept=(0, 200)),
    Field(4413, "load_percentage", WORD, PERCENT, label="Load level", accept=(0, 200)),
)

REGO_ONLY = "read from REGO only"
RIV4835_ONLY = "read from RIV4835 only"
STATE_ROWS = (
    Field(4393, "warning_bits", WORD, IDENTITY, note=f"{RIV4835_ONLY}; nobody knows the bits"),
    *numbered(4, 4398, "fault_code", WORD, IDENTITY, note=f"{RIV4835_ONLY}; 0 = none"),
    Field(4405, "operating_state_raw", WORD, IDENTITY, note=RIV4835_ONLY),
    Field(4405, "operating_state", Choice(STATES, absent=NONE), STATE.but(diagnostic=True), note=RIV4835_ONLY),
)
SETTINGS = hidden(
    Field(4422, "inverter_charge_current", TENTHS, SET_CURRENT, accept=(0, 200), note=REGO_ONLY),
    Field(4430, "inverter_low_voltage_warn", TENTHS, SET_VOLTAGE, accept=(8, 70), note=REGO_ONLY),
    Field(4441, "inverter_output_priority", Choice(PRIORITIES, absent=NONE), STATE.but(diagnostic=True), note=RIV4835_ONLY),
    Field(4452, "inverter_over_voltage", TENTHS, SET_VOLTAGE, accept=(8, 70), note=REGO_ONLY),
    Field(4456, "inverter_ac_input_current_limit", TENTHS, SET_CURRENT, accept=(0, 100), note=REGO_ONLY),
    Field(57861, "inverter_ac_charge_current", TENTHS, SET_CURRENT, accept=(0, 100), note=RIV4835_ONLY),
)


def load_current(amps: float, apparent: int, volts: float) -> float:
    """A into the load, from `amps` read in tenths.

    RIV1230PU is said to count hundredths. Apparent power / voltage tells the two apart once it is large enough (0.5 A).
    """
    expected = apparent / volts if volts else 0.0
    fine = amps / 10
    return round(fine, 2) if expected >= 0.5 and abs(fine - expected) <= 0.3 * expected else amps


def charging_positive(current: float, charging_power: int) -> float:
    """A into the battery, + charging, whichever sign the model uses: it charges when it says so in watts."""
    return abs(current) if charging_power > 0 else -abs(current) if current else 0.0


def names_of(*codes: int) -> list[str]:
    """The faults behind the codes that are not 0, each with its number."""
    return [f"{FAULTS.get(code, 'unknown')} ({code})" for code in codes if code]


LOAD_CURRENT = Derived(
    "load_current",
    ("load_current", "load_apparent_power", "output_voltage"),
    load_current,
    CURRENT,
    accept=(0, 120),
    note="in hundredths where apparent power / voltage says so",
)

INVERTER = Family(
    key="inverter",
    title="Inverter",
    client="InverterClient",
    gatt=INVERTER_MODULE,
    units=(32, 255, 1),
    pacing=0.3,
    timeout=10.0,
    fields=(*NAME, *LIVE, *STATE_ROWS, *SETTINGS),
    derived=(
        LOAD_CURRENT,
        Derived(
            "battery_current",
            ("charging_current", "charging_power"),
            charging_positive,
            CURRENT,
            precision=1,
            note="+ charging on every model",
        ),
    ),
    windows=(
        # 32 words from 4000 give garbage and then silence on RIV4835.
        Window("main", 4000, 10, or_else=((4000, 8),)),
        Window("charging", 4327, 7),
        Window("load", 4408, 6),
        Window("device_id", 4109, 1, When.CONNECTION, optional=True, timeout=3.0),
        # Some RIV4835 never answer this one.
        Window("model", 4311, 8, When.CONNECTION, optional=True, timeout=3.0),
    ),
)

# RIV1230RCH (advertised as BTRIC…): the settings that were proven there. Unknown words are met with silence, which costs
# the connection, so nobody else is asked for them.
INVERTER_REGO = replace(
    INVERTER,
    key="inverter_rego",
    title="Inverter REGO",
    windows=(
        *INVERTER.windows,
        Window("charge_current", 4422, 1, When.HOUR, optional=True, timeout=3.0),
        Window("low_voltage_warn", 4430, 1, When.HOUR, optional=True, timeout=3.0),
        Window("over_voltage", 4452, 1, When.HOUR, optional=True, timeout=3.0),
        Window("ac_input_limit", 4456, 1, When.HOUR, optional=True, timeout=3.0),
    ),
)

# Captured: -49.5 A while 2535 W went into the battery.
INVERTER_RIV4835 = replace(
    INVERTER,
    key="inverter_riv4835",
    title="Inverter RIV4835CSH1S",
    derived=(
        LOAD_CURRENT,
        Derived(
            "battery_current",
            ("charging_current",),
            lambda current: -current if current else 0.0,
            CURRENT,
            precision=1,
            note="+ charging; this model counts the other way round",
        ),
        Derived("faults", tuple(f"fault_code_{n}" for n in range(4)), names_of, IDENTITY),
        Derived("problem", ("faults",), bool, PROBLEM, note="any fault; unknown while a code cannot be read"),
    ),
    windows=(
        *INVERTER.windows,
        Window("faults", 4398, 4, optional=True, timeout=3.0),
        Window("state", 4405, 1, optional=True, timeout=3.0),
        Window("warnings", 4393, 1, optional=True, timeout=3.0),
        Window("output_priority", 4441, 1, When.HOUR, optional=True, timeout=3.0),
        Window("ac_charge_current", 57861, 1, When.HOUR, optional=True, timeout=3.0),
    ),
)
