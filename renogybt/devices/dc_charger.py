"""DC-DC chargers: DCC30S, DCC50S, RBC…D…. The layout of a charge controller, with an alternator where the load was.

Alarm bits as three independent programs read them; the predecessors' are off by one word.
"""

from dataclasses import replace

from renogybt.devices.controller import BATTERY_SETTINGS, CHARGING, NAME, NAME_WINDOWS
from renogybt.devices.module import MODULE
from renogybt.protocol.codec import BYTE_TEMPERATURE, CENTI, DECI, U16, U32, Choice, Flags
from renogybt.protocol.quantity import (
    CHARGED,
    COUNT,
    CURRENT,
    DAYS,
    ENERGY_WH,
    IDENTITY,
    INNER_TEMPERATURE,
    PEAK_CURRENT,
    PEAK_POWER,
    PEAK_VOLTAGE,
    POWER,
    PROBLEM,
    SET_CURRENT,
    SET_VOLTAGE,
    SOC,
    STATE,
    TEMPERATURE,
    VOLTAGE,
    Quantity,
)
from renogybt.protocol.table import Derived, Family, Field, When, Window, changed, hidden

ALARMS_0121 = {
    4: "controller_over_temp_2",
    5: "alternator_over_current",
    8: "alternator_over_voltage",
    9: "starter_reverse_polarity",
    10: "bms_overcharge_protection",
    11: "low_temp_shutdown",
}
ALARMS_0122 = {
    0: "battery_over_discharge",
    1: "battery_over_voltage",
    2: "battery_low_voltage",
    5: "controller_over_temp",
    6: "battery_over_temperature",
    7: "solar_over_current",
    8: "fan",
    9: "solar_over_voltage",
    12: "solar_reverse_polarity",
}
PRIORITY = (
    "low_temp_shutdown",
    "bms_overcharge_protection",
    "starter_reverse_polarity",
    "alternator_over_voltage",
    "alternator_over_current",
    "controller_over_temp_2",
    "solar_reverse_polarity",
    "solar_over_voltage",
    "solar_over_current",
    "battery_over_temperature",
    "controller_over_temp",
    "battery_low_voltage",
    "battery_over_voltage",
    "battery_over_discharge",
)
"""Which of several alarms the predecessors put into `error`."""

MODES = {
    0: "standby",
    1: "alternator_to_house",
    2: "house_to_starter",
    3: "solar_to_house",
    4: "solar_alternator_to_house",
    5: "solar_to_starter",
}
IGNITION = {0: "disconnected", 1: "connected"}

LIVE = (
    # House battery
    Field(0x0100, "battery_percentage", U16, SOC, label="House battery", accept=(0, 100)),
    Field(0x0101, "battery_voltage", DECI, VOLTAGE, label="House battery voltage", accept=(6, 80)),
    Field(0x0102, "combined_charge_current", CENTI, CURRENT, label="Charging current", accept=(0, 80)),
    Field(0x0103, "controller_temperature", BYTE_TEMPERATURE, INNER_TEMPERATURE, accept=(-40, 120)),
    Field(0x0103, "battery_temperature", BYTE_TEMPERATURE, TEMPERATURE, byte=1, accept=(-40, 100)),
    # Alternator
    Field(0x0104, "alternator_voltage", DECI, VOLTAGE, accept=(0, 36)),
    Field(0x0105, "alternator_current", CENTI, CURRENT, accept=(0, 80)),
    Field(0x0106, "alternator_power", U16, POWER, accept=(0, 1500)),
    # Panels
    Field(0x0107, "pv_voltage", DECI, VOLTAGE, label="Solar voltage", accept=(0, 60)),
    Field(0x0108, "pv_current", CENTI, CURRENT, label="Solar current", accept=(0, 80)),
    Field(0x0109, "pv_power", U16, POWER, label="Solar power", accept=(0, 1500)),
    # Today. The words in between, for what a load would take, carry nothing.
    *hidden(
        Field(0x010B, "battery_min_voltage_today", DECI, PEAK_VOLTAGE, label="Lowest battery voltage today", accept=(0, 80)),
        Field(
            0x010C, "battery_max_voltage_today", DECI, PEAK_VOLTAGE, label="Highest battery voltage today", accept=(0, 80)
        ),
        Field(
            0x010D, "battery_max_current_today", CENTI, PEAK_CURRENT, label="Peak charging current today", accept=(0, 120)
        ),
    ),
    Field(0x010F, "max_charging_power_today", U16, PEAK_POWER, label="Peak charging power today", accept=(0, 6000)),
    Field(0x0111, "charging_amp_hours_today", U16, CHARGED, label="Charge today", accept=(0, 2500)),
    Field(0x0113, "power_generation_today", U16, ENERGY_WH, label="Energy today", accept=(0, 65000)),
    # Since the first day
    Field(0x0115, "total_working_days", U16, DAYS, label="Operating time", accept=(0, 20000)),
    Field(0x0116, "count_battery_overdischarged", U16, COUNT.but(icon="mdi:battery-alert"), label="Over-discharges"),
    Field(0x0117, "count_battery_fully_charged", U16, COUNT.but(icon="mdi:battery-check"), label="Full charges"),
    Field(0x0118, "battery_ah_total_accumulated", U32, CHARGED.but(diagnostic=True), label="Charge total"),
    Field(0x011C, "power_generation_total", U32, ENERGY_WH, label="Energy total"),
)

STATUS = (
    Field(
        0x0120,
        "charging_status",
        Choice(CHARGING | {8: "alternator direct"}, size=1),
        STATE.but(icon="mdi:battery-charging"),
        byte=1,
        label="Charging state",
    ),
    # One number over both words, so that 0x0121 holds its upper 16 bits.
    Field(0x0121, "alarms", Flags({bit + 16: name for bit, name in ALARMS_0121.items()} | ALARMS_0122, size=4), IDENTITY),
    Field(0x0124, "output_power", U16, POWER, accept=(0, 1500), hidden=True),
    Field(0x0125, "charging_mode", Choice(MODES), STATE.but(icon="mdi:transit-connection-variant"), label="Charging path"),
    Field(
        0x0126,
        "ignition_status",
        Choice(IGNITION),
        Quantity(platform="binary_sensor", icon="mdi:key-variant"),
        label="Ignition",
    ),
)

SETTINGS = (
    Field(0xE001, "max_charging_current", CENTI, SET_CURRENT, accept=(1, 60), hidden=True),
    *BATTERY_SETTINGS,
    Field(0xE020, "reverse_charging_voltage", DECI, SET_VOLTAGE, accept=(11, 15), hidden=True),
    Field(0xE038, "solar_cutoff_current", CENTI, SET_CURRENT, accept=(0, 10), hidden=True),
)


def first_alarm(alarms: list[str]) -> str | None:
    """The alarm that matters most, None when there is none."""
    return next((name for name in PRIORITY if name in alarms), None)


def believable_power(power: int, volts: float, amps: float) -> int:
    """Watts of the panels. RBC20D1U without a panel repeats the alternator's power, so voltage × current decides when the
    two are further apart than rounding explains (10 W, or a fifth)."""
    product = round(volts * amps)
    return product if abs(power - product) > max(10, 0.2 * max(power, product)) else power


DC_CHARGER = Family(
    key="dc_charger",
    title="DC-DC charger",
    client="DCChargerClient",
    gatt=MODULE,
    units=(255, 1, 16, 17, 96, 97),
    fields=(*NAME, *LIVE, *STATUS, *SETTINGS),
    derived=(
        Derived("pv_power", ("pv_power", "pv_voltage", "pv_current"), believable_power, POWER, note="unless V × A differ"),
        Derived("error", ("alarms",), first_alarm, IDENTITY, note="the most urgent alarm"),
        Derived("problem", ("alarms",), bool, PROBLEM, note="any alarm"),
    ),
    windows=(
        NAME_WINDOWS[0],
        Window("live", 256, 30),
        # Some units know the status only as the end of a long read.
        Window("status", 288, 7, or_else=((256, 34),), optional=True),
        NAME_WINDOWS[1],
        Window("settings", 57345, 33, When.CONNECTION, or_else=((57347, 18), (57348, 1)), optional=True),
        Window("max_charging_current", 57345, 1, When.CONNECTION, optional=True),
        Window("reverse_charging_voltage", 57376, 1, When.CONNECTION, optional=True),
        Window("solar_cutoff_current", 57400, 1, When.CONNECTION, optional=True),
    ),
)

# Models that end in -G6: a read that starts at 0x0120 gets no answer at all, and nothing beyond 0x0121 exists.
_KNOWN_TO_G6 = tuple(row for row in DC_CHARGER.fields if row.at <= 0x0121 or row.key == "battery_type")
DC_CHARGER_G6 = replace(
    DC_CHARGER,
    key="dc_charger_g6",
    title="DC-DC charger G6",
    fields=changed(_KNOWN_TO_G6, "alarms", codec=Flags(ALARMS_0121)),
    windows=(
        NAME_WINDOWS[0],
        Window("live", 256, 34),
        NAME_WINDOWS[1],
        Window("battery_type", 57348, 1, When.CONNECTION, optional=True),
    ),
)
