"""Lithium batteries with a bus: older ones behind a BT-2 or with a module inside, Battery Pro (RNGRBP, RNGPRO), Core (RNGC).

One register map for all (BMS Modbus V1.7), checked against captures of five packs. Current: + charging, - discharging.
"""

from collections.abc import Sequence
from dataclasses import replace

from renogybt.devices.module import MODULE
from renogybt.protocol.codec import (
    CENTI,
    DECI,
    MILLI32,
    S_CENTI,
    S_DECI,
    U16,
    U32,
    Bit,
    Flags,
    MaybeSwapped,
    Pairs,
    Split,
    Text,
)
from renogybt.protocol.quantity import (
    CHARGE,
    COUNT,
    CURRENT,
    ENERGY_KWH,
    FLAG,
    IDENTITY,
    INNER_TEMPERATURE,
    PEAK_VOLTAGE,
    POWER,
    PROBLEM,
    SET_CURRENT,
    SET_NUMBER,
    SET_TEMPERATURE,
    SET_VOLTAGE,
    SOC,
    STORED,
    TEMPERATURE,
    VOLTAGE,
)
from renogybt.protocol.table import Derived, Family, Field, When, Window, changed, hidden, numbered

PROTECTIONS = {
    0: "short_circuit",
    4: "charge_overcurrent_2",
    5: "discharge_overcurrent_2",
    6: "module_overvoltage",
    7: "cell_undervoltage",
    8: "cell_overvoltage",
    9: "charge_overcurrent_1",
    10: "discharge_overcurrent_1",
    11: "discharge_undertemperature",
    12: "discharge_overtemperature",
    13: "charge_undertemperature",
    14: "charge_overtemperature",
    15: "module_undervoltage",
}
"""Bits of status1. Bits 1 to 3 are the ordinary state of the switches."""

WARNINGS = {
    0: "cell_low_voltage",
    1: "cell_high_voltage",
    2: "module_low_voltage",
    3: "module_high_voltage",
    4: "charge_low_temperature",
    5: "charge_high_temperature",
    6: "discharge_low_temperature",
    7: "discharge_high_temperature",
}
"""Bits of status2."""

# Every captured pack counts tenths of a volt; a word of 1000 or more can only be millivolts.
CELL = Split(limit=1000, below=10, above=1000)
COUNTER = SET_NUMBER.but(icon="mdi:counter")

CELLS = (
    Field(5000, "cell_count", U16, COUNTER, label="Cells", accept=(1, 16), hidden=True),
    *hidden(
        *numbered(16, 5001, "cell_voltage", CELL, PEAK_VOLTAGE, "Cell {} voltage", only_if="cell_count", accept=(1, 4.5))
    ),
    # Some packs fill more temperature slots than they count; the count is right.
    Field(5017, "sensor_count", U16, COUNTER, label="Temperature sensors", accept=(0, 16), hidden=True),
    *hidden(
        *numbered(
            16, 5018, "temperature", S_DECI, INNER_TEMPERATURE, "Temperature {}", only_if="sensor_count", accept=(-40, 100)
        )
    ),
)

PACK = (
    *hidden(
        Field(5035, "bms_temperature", S_DECI, INNER_TEMPERATURE, label="BMS temperature", accept=(-40, 120)),
        Field(5036, "environment_sensor_count", U16, COUNTER, accept=(0, 2)),
        *numbered(
            2,
            5037,
            "environment_temperature",
            S_DECI,
            INNER_TEMPERATURE,
            "Surroundings temperature {}",
            only_if="environment_sensor_count",
            accept=(-40, 120),
        ),
        Field(5039, "heater_sensor_count", U16, COUNTER, accept=(0, 2)),
        *numbered(
            2,
            5040,
            "heater_temperature",
            S_DECI,
            INNER_TEMPERATURE,
            "Heater temperature {}",
            only_if="heater_sensor_count",
            accept=(-40, 120),
        ),
    ),
    Field(5042, "current", S_CENTI, CURRENT, accept=(-600, 600), note="+ charging, - discharging"),
    Field(5043, "voltage", DECI, VOLTAGE, accept=(6, 70)),
    Field(5044, "remaining_charge", MILLI32, CHARGE, accept=(0, 2200), precision=2),
    Field(5046, "capacity", MILLI32, CHARGE.but(diagnostic=True, icon="mdi:battery"), accept=(1, 2000), precision=0),
    Field(5048, "cycle_count", U16, COUNT.but(icon="mdi:battery-sync"), label="Charge cycles", accept=(0, 20000)),
    *hidden(
        Field(5049, "charge_voltage_limit", DECI, SET_VOLTAGE, accept=(0, 70)),
        Field(5050, "discharge_voltage_limit", DECI, SET_VOLTAGE, accept=(0, 70)),
        Field(5051, "charge_current_limit", CENTI, SET_CURRENT, accept=(0, 600)),
        # Signed: a real pack reports 55536, which is -100.00 A.
        Field(5052, "discharge_current_limit", S_CENTI, SET_CURRENT, accept=(-600, 0)),
    ),
)

ALARMS = (
    # Codes: 0 normal, 1 below the lower limit, 2 above the upper limit, 3 other. The first cell is in the lowest bits.
    Field(5100, "cell_alarms", Pairs(), IDENTITY, note="one code per cell"),
    Field(5102, "temperature_alarms", U32, IDENTITY, note="2 bits per sensor; low word on some packs: level of the heater"),
    Field(
        5104,
        "other_alarms",
        U32,
        IDENTITY,
        note="2 bits each from the top: BMS board, environment 1, 2, heater 1, 2, charge current, discharge current",
    ),
    Field(5106, "status1", U16, IDENTITY),
    Field(5106, "charge_mosfet", Bit(1), FLAG.but(icon="mdi:battery-arrow-up-outline"), label="Charging allowed"),
    Field(5106, "discharge_mosfet", Bit(2), FLAG.but(icon="mdi:battery-arrow-down-outline"), label="Discharging allowed"),
    *hidden(
        Field(5106, "using_battery_power", Bit(3), FLAG),
        Field(5106, "short_circuit", Bit(0), PROBLEM),
    ),
    Field(5106, "protections", Flags(PROTECTIONS, others=True), IDENTITY),
    Field(5107, "status2", U16, IDENTITY),
    *hidden(
        Field(5107, "heater_on", Bit(13), FLAG.but(device_class="heat"), label="Heater"),
        Field(5107, "fully_charged", Bit(11), FLAG),
        Field(5107, "effective_charge_current", Bit(15), FLAG),
        Field(5107, "effective_discharge_current", Bit(14), FLAG),
        Field(5107, "buzzer", Bit(8), FLAG),
    ),
    Field(5107, "warnings", Flags(WARNINGS, others=True), IDENTITY),
    Field(5108, "cell_error_bits", U16, IDENTITY, note="one bit per cell"),
    Field(5109, "status3", U16, IDENTITY),
    *hidden(
        Field(5109, "charge_enable", Bit(7), FLAG),
        Field(5109, "discharge_enable", Bit(6), FLAG),
        Field(5109, "charge_immediately", Bit(5), FLAG),
        Field(5109, "charge_immediately_2", Bit(4), FLAG),
        Field(5109, "full_charge_request", Bit(3), FLAG),
    ),
)

INFO = (
    Field(5110, "serial_number", Text(16), IDENTITY),
    Field(5118, "manufacture_version", Text(2), IDENTITY),
    Field(5119, "mainline_version", Text(4), IDENTITY),
    Field(5121, "protocol_version", Text(2), IDENTITY, note="19 = V1.9"),
    Field(5122, "model", Text(16), IDENTITY),
    Field(5130, "software_version", Text(4), IDENTITY),
    Field(5132, "manufacturer_name", Text(20), IDENTITY, note="not read: always the same"),
)

# Never written here. 5222 powers the pack off, 5224 to 5229 lock and test it.
LIMITS = (
    *hidden(
        Field(5200, "cell_over_voltage_limit", DECI, SET_VOLTAGE),
        Field(5201, "cell_high_voltage_limit", DECI, SET_VOLTAGE),
        Field(5202, "cell_low_voltage_limit", DECI, SET_VOLTAGE),
        Field(5203, "cell_under_voltage_limit", DECI, SET_VOLTAGE),
        Field(5204, "charge_over_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5205, "charge_high_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5206, "charge_low_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5207, "charge_under_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5208, "charge_over_current_2_limit", CENTI, SET_CURRENT),
        Field(5209, "charge_over_current_1_limit", CENTI, SET_CURRENT),
        Field(5210, "charge_high_current_limit", CENTI, SET_CURRENT),
        Field(5211, "module_over_voltage_limit", DECI, SET_VOLTAGE),
        Field(5212, "module_high_voltage_limit", DECI, SET_VOLTAGE),
        Field(5213, "module_low_voltage_limit", DECI, SET_VOLTAGE),
        Field(5214, "module_under_voltage_limit", DECI, SET_VOLTAGE),
        Field(5215, "discharge_over_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5216, "discharge_high_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5217, "discharge_low_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5218, "discharge_under_temperature_limit", S_DECI, SET_TEMPERATURE),
        Field(5219, "discharge_over_current_2_limit", S_CENTI, SET_CURRENT),
        Field(5220, "discharge_over_current_1_limit", S_CENTI, SET_CURRENT),
        Field(5221, "discharge_high_current_limit", S_CENTI, SET_CURRENT),
    ),
    Field(5223, "device_id", U16, IDENTITY, accept=(1, 247), note="address on the bus"),
    Field(5226, "unique_id", U32, IDENTITY, note="not read: next to the words that lock and test the pack"),
)


def charge_level(remaining: float, capacity: float) -> float | None:
    """State of charge in %; the battery has no register for it. None while the capacity reads 0."""
    return round(remaining / capacity * 100, 2) if capacity else None


def mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 1)


def spread(values: Sequence[float]) -> float:
    return round(max(values) - min(values), 3)


def stored(remaining: float, cells: int) -> int:
    """Wh left, at the 3.2 V a lithium iron phosphate cell has by name: an estimate."""
    return round(remaining * cells * 3.2)


def in_trouble(protections: list[str], cells: list[int], temperatures: int, others: int) -> bool:
    """Whether anything is wrong: a protection of status1, or an alarm word that is not zero.

    Up to 255, `temperatures` may be the level of the heater (older self-heating packs) and is no alarm by itself.
    """
    return bool(protections or any(cells) or temperatures > 0xFF or others)


def energy(volts: str, amps: str) -> tuple[Derived, ...]:
    """The rows of what the bridge sums up over time from the values `volts` and `amps`: in and out, each only rising."""
    summed, since = "power summed up by the bridge", "the same since the local day began"
    return (
        Derived("energy_in_kwh", (volts, amps), None, ENERGY_KWH, "Charged energy", note=summed),
        Derived("energy_out_kwh", (volts, amps), None, ENERGY_KWH, "Discharged energy", note=summed),
        Derived("energy_in_today_kwh", (volts, amps), None, ENERGY_KWH, "Charged energy today", note=since),
        Derived("energy_out_today_kwh", (volts, amps), None, ENERGY_KWH, "Discharged energy today", note=since),
    )


BATTERY = Family(
    key="battery",
    title="Battery",
    client="BatteryClient",
    gatt=MODULE,
    units=(255, 48, 247, 33),
    fields=(*CELLS, *PACK, *ALARMS, *INFO, *LIMITS),
    derived=(
        Derived(
            "power",
            ("voltage", "current"),
            lambda volts, amps: round(volts * amps, 2),
            POWER,
            precision=1,
            note="voltage × current, + charging",
        ),
        Derived(
            "battery_level",
            ("remaining_charge", "capacity"),
            charge_level,
            SOC,
            "State of charge",
            precision=1,
            accept=(0, 110),
            note="remaining charge / capacity",
        ),
        Derived("temperature", ("temperature_*",), mean, TEMPERATURE, precision=1, note="mean of the cell sensors"),
        Derived(
            "temperature_min", ("temperature_*",), min, INNER_TEMPERATURE, "Lowest temperature", hidden=True, precision=1
        ),
        Derived(
            "temperature_max", ("temperature_*",), max, INNER_TEMPERATURE, "Highest temperature", hidden=True, precision=1
        ),
        Derived("cell_voltage_min", ("cell_voltage_*",), min, PEAK_VOLTAGE, "Lowest cell voltage", precision=3),
        Derived("cell_voltage_max", ("cell_voltage_*",), max, PEAK_VOLTAGE, "Highest cell voltage", precision=3),
        Derived("cell_voltage_delta", ("cell_voltage_*",), spread, PEAK_VOLTAGE, "Cell voltage spread", precision=3),
        Derived("stored_energy", ("remaining_charge", "cell_count"), stored, STORED, hidden=True, note="at 3.2 V per cell"),
        *energy("voltage", "current"),
        Derived(
            "problem",
            ("protections", "cell_alarms", "temperature_alarms", "other_alarms"),
            in_trouble,
            PROBLEM,
            note="any protection or alarm",
        ),
    ),
    windows=(
        # 5000 to 5034, 5035 to 5052, 5100 to 5141 and 5200 to 5229 are spans; a read that leaves one is refused.
        Window("cells", 5000, 34, or_else=((5000, 17),)),
        Window("temperatures", 5017, 17),
        Window("pack", 5035, 18, or_else=((5042, 7), (5042, 6))),
        # 8 words were captured; 10 carry status3 as well and stay inside the span.
        Window("alarms", 5100, 10, or_else=((5100, 8),), optional=True),
        Window("info", 5110, 22, When.CONNECTION, or_else=((5122, 8),), optional=True),
        Window("device_id", 5223, 1, When.CONNECTION, optional=True),
        Window("limits", 5200, 22, When.HOUR, optional=True),
    ),
)


# Tenths of an ampere: -1.2 A captured, and an owner who had to multiply by ten.
BATTERY_RNGRBP = replace(
    BATTERY,
    key="battery_rngrbp",
    title="Battery Pro (RNGRBP)",
    fields=changed(BATTERY.fields, "current", codec=S_DECI),
)

# As RNGRBP by one owner's report, who also saw the cycle count with its bytes swapped.
BATTERY_RNGC = replace(
    BATTERY_RNGRBP,
    key="battery_rngc",
    title="Battery Core (RNGC)",
    fields=changed(BATTERY_RNGRBP.fields, "cycle_count", codec=MaybeSwapped()),
)

# A healthy pack reports "high" for four cells in 5101, so its alarm words say nothing.
BATTERY_RNGPRO = replace(
    BATTERY,
    key="battery_rngpro",
    title="Battery Pro (RNGPRO)",
    derived=(
        *(row for row in BATTERY.derived if row.key != "problem"),
        Derived("problem", ("protections",), bool, PROBLEM, note="any protection"),
    ),
)
