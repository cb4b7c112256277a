"""Charge controllers: Rover, Wanderer, Adventurer, Rover Elite, and SRNE or Rich Solar units of the same make.

Addresses, scales and bits as in "ROVER MODBUS" and the controller protocol V1.7, checked against captured frames.
"""

from renogybt.devices.module import MODULE
from renogybt.protocol.codec import BYTE_TEMPERATURE, CENTI, DECI, U8, U16, U32, Choice, Flags, Part, Text, Version
from renogybt.protocol.quantity import (
    CHARGED,
    COUNT,
    CURRENT,
    DAYS,
    DISCHARGED,
    ENERGY_WH,
    IDENTITY,
    INNER_TEMPERATURE,
    PEAK_CURRENT,
    PEAK_POWER,
    PEAK_VOLTAGE,
    PERCENT,
    POWER,
    PROBLEM,
    SET_CAPACITY,
    SET_CURRENT,
    SET_DAYS,
    SET_HOURS,
    SET_MINUTES,
    SET_NUMBER,
    SET_PERCENT,
    SET_SECONDS,
    SET_VOLTAGE,
    SOC,
    STATE,
    TEMPERATURE,
    VOLTAGE,
    Quantity,
)
from renogybt.protocol.table import Derived, Family, Field, When, Window, hidden

CHARGING = {
    0: "deactivated",
    1: "activated",
    2: "mppt",
    3: "equalizing",
    4: "boost",
    5: "floating",
    6: "current limiting",
}
BATTERY_TYPES = {0: "user", 1: "open", 2: "sealed", 3: "gel", 4: "lithium", 5: "custom"}
FAULTS = {
    0: "battery_overdischarge",
    1: "battery_overvoltage",
    2: "battery_undervoltage_warning",
    3: "load_short",
    4: "load_overpower",
    5: "controller_temperature_high",
    6: "ambient_temperature_high",
    7: "pv_input_overpower",
    8: "pv_input_short",
    9: "pv_input_overvoltage",
    10: "pv_counter_current",
    11: "pv_working_point_overvoltage",
    12: "pv_reversed",
    13: "anti_reverse_mos_short",
    14: "charge_mos_short",
    15: "fan_alarm",
}
"""Bits of 0x0121, which are bits 16 to 31 of the fault code."""

SWITCHED = Quantity(device_class="power", platform="binary_sensor")
BATTERY_TYPE = STATE.but(diagnostic=True, icon="mdi:car-battery")
CHARGING_STATE = STATE.but(icon="mdi:solar-power")

NAME = (
    # Padded with spaces on either side; a name may fill all 16 characters (RNG-CTRL-RVRPG40).
    Field(0x000C, "model", Text(16), IDENTITY),
    Field(0x001A, "device_id", U8, IDENTITY, byte=1, accept=(1, 247), note="address on the bus"),
)

RATINGS = (
    Field(0x000A, "max_system_voltage", U8, IDENTITY, note="V; 255 = automatic"),
    Field(0x000A, "rated_charging_current", U8, IDENTITY, byte=1, note="A"),
    Field(0x000B, "rated_discharging_current", U8, IDENTITY, note="A"),
    Field(0x000B, "product_type", U8, IDENTITY, byte=1, note="0 controller, 1 inverter; newer SRNE: 3, 4 inverter"),
    Field(0x0014, "software_version", Version(), IDENTITY),
    Field(0x0016, "hardware_version", Version(), IDENTITY),
    Field(0x0018, "serial_number", U32, IDENTITY, note="high word: year - 2000 and month, low word: unit"),
    Field(0x001B, "protocol_version", U32, IDENTITY, note="not read: in the document, never tried over Bluetooth"),
    Field(0x001D, "unique_id", U32, IDENTITY, note="not read: in the document, never tried over Bluetooth"),
)

LIVE = (
    # Battery. The current is what the controller charges with; what the load draws is not subtracted.
    Field(0x0100, "battery_percentage", U16, SOC, label="Battery", accept=(0, 100), note="estimated from the voltage"),
    Field(0x0101, "battery_voltage", DECI, VOLTAGE, accept=(6, 80)),
    Field(0x0102, "battery_current", CENTI, CURRENT, accept=(0, 120), note="charging current, never negative"),
    Field(0x0103, "controller_temperature", BYTE_TEMPERATURE, INNER_TEMPERATURE, accept=(-40, 120)),
    Field(
        0x0103, "battery_temperature", BYTE_TEMPERATURE, TEMPERATURE, byte=1, accept=(-40, 100), note="25 without a probe"
    ),
    # Load
    Field(0x0104, "load_voltage", DECI, VOLTAGE, accept=(0, 80), hidden=True),
    Field(0x0105, "load_current", CENTI, CURRENT, accept=(0, 60)),
    Field(0x0106, "load_power", U16, POWER, accept=(0, 3000)),
    # Panels
    Field(0x0107, "pv_voltage", DECI, VOLTAGE, label="Solar voltage", accept=(0, 260)),
    Field(0x0108, "pv_current", CENTI, CURRENT, label="Solar current", accept=(0, 120)),
    Field(0x0109, "pv_power", U16, POWER, label="Solar power", accept=(0, 6000)),
    # Today, by the controller's own idea of when a day begins. 0x010A is the load switch: write only.
    *hidden(
        Field(0x010B, "battery_min_voltage_today", DECI, PEAK_VOLTAGE, label="Lowest battery voltage today", accept=(0, 80)),
        Field(
            0x010C, "battery_max_voltage_today", DECI, PEAK_VOLTAGE, label="Highest battery voltage today", accept=(0, 80)
        ),
        Field(
            0x010D, "max_charging_current_today", CENTI, PEAK_CURRENT, label="Peak charging current today", accept=(0, 120)
        ),
        Field(0x010E, "max_discharging_current_today", CENTI, PEAK_CURRENT, label="Peak load current today", accept=(0, 60)),
    ),
    Field(0x010F, "max_charging_power_today", U16, PEAK_POWER, label="Peak charging power today", accept=(0, 6000)),
    Field(
        0x0110, "max_discharging_power_today", U16, PEAK_POWER, label="Peak load power today", accept=(0, 3000), hidden=True
    ),
    Field(0x0111, "charging_amp_hours_today", U16, CHARGED, label="Charge today", accept=(0, 2500)),
    Field(0x0112, "discharging_amp_hours_today", U16, DISCHARGED, label="Discharge today", accept=(0, 2500)),
    # The document says kWh / 10000; at 13 V, 44 Ah come with 561, so the unit is Wh.
    Field(0x0113, "power_generation_today", U16, ENERGY_WH, label="Solar energy today", accept=(0, 65000)),
    Field(0x0114, "power_consumption_today", U16, ENERGY_WH, label="Load energy today", accept=(0, 65000)),
    # Since the first day
    Field(0x0115, "total_working_days", U16, DAYS, label="Operating time", accept=(0, 20000)),
    Field(0x0116, "count_battery_overdischarged", U16, COUNT.but(icon="mdi:battery-alert"), label="Over-discharges"),
    Field(0x0117, "count_battery_fully_charged", U16, COUNT.but(icon="mdi:battery-check"), label="Full charges"),
    Field(0x0118, "battery_ah_total_accumulated", U32, CHARGED.but(diagnostic=True), label="Charge total"),
    Field(0x011A, "battery_ah_total_discharged", U32, DISCHARGED.but(diagnostic=True), label="Discharge total"),
    Field(0x011C, "power_generation_total", U32, ENERGY_WH, label="Solar energy total"),
    Field(0x011E, "power_consumption_total", U32, ENERGY_WH, label="Load energy total"),
    # State
    Field(0x0120, "load_status", Choice({0: "off", 1: "on"}, size=1, shift=7), SWITCHED, label="Load", note="top bit"),
    Field(0x0120, "load_brightness", Part(0x7F, size=1), PERCENT.but(diagnostic=True), hidden=True, accept=(0, 100)),
    Field(0x0120, "charging_status", Choice(CHARGING, size=1), CHARGING_STATE, byte=1, label="Charging state"),
    # Units that give 34 words stop after 0x0121; all named faults are in that word.
    Field(0x0121, "faults", Flags(FAULTS), IDENTITY),
    Field(0x0121, "fault_code", U32, IDENTITY, note="both fault words; the names of the lower 16 bits are not known"),
)

PER_12_V = "per 12 V: a 24 V system has twice this"
BATTERY_SETTINGS = (
    *hidden(
        Field(0xE003, "system_voltage_setting", U8, SET_VOLTAGE, note="255 = automatic"),
        Field(0xE003, "recognized_voltage", U8, SET_VOLTAGE, byte=1, label="System voltage"),
    ),
    Field(0xE004, "battery_type", Choice(BATTERY_TYPES), BATTERY_TYPE, note="custom: a locked profile"),
    *hidden(
        Field(0xE005, "overvoltage_threshold", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE006, "charging_limit_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE007, "equalization_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE008, "boost_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE009, "float_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE00A, "boost_return_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE00B, "overdischarge_return_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE00C, "undervoltage_warning", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE00D, "overdischarge_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE00E, "discharge_limit_voltage", DECI, SET_VOLTAGE, accept=(7, 17), note=PER_12_V),
        Field(0xE00F, "end_of_charge_soc", U8, SET_PERCENT, accept=(0, 100)),
        Field(0xE00F, "end_of_discharge_soc", U8, SET_PERCENT, byte=1, accept=(0, 100)),
        Field(0xE010, "overdischarge_delay", U16, SET_SECONDS, accept=(0, 120)),
        Field(0xE011, "equalization_time", U16, SET_MINUTES, accept=(0, 300)),
        Field(0xE012, "boost_time", U16, SET_MINUTES, accept=(10, 300)),
        Field(0xE013, "equalization_interval", U16, SET_DAYS, accept=(0, 255), note="0 = off"),
        Field(0xE014, "temperature_compensation", U16, Quantity("mV/°C/2V", diagnostic=True), accept=(0, 5)),
    ),
)

LIGHT_SETTINGS = (
    *hidden(
        # Street-light models; on the others these words hold defaults.
        Field(0xE015, "load_stage_1_hours", U16, SET_HOURS, accept=(0, 21)),
        Field(0xE016, "load_stage_1_power", U16, SET_PERCENT, accept=(0, 100)),
        Field(0xE017, "load_stage_2_hours", U16, SET_HOURS, accept=(0, 21)),
        Field(0xE018, "load_stage_2_power", U16, SET_PERCENT, accept=(0, 100)),
        Field(0xE019, "load_stage_3_hours", U16, SET_HOURS, accept=(0, 21)),
        Field(0xE01A, "load_stage_3_power", U16, SET_PERCENT, accept=(0, 100)),
        Field(0xE01B, "morning_load_hours", U16, SET_HOURS, accept=(0, 21)),
        Field(0xE01C, "morning_load_power", U16, SET_PERCENT, accept=(0, 100)),
        Field(0xE01D, "load_mode", U16, SET_NUMBER, accept=(0, 17), note="15 manual; 0-14 by light, 16 test, 17 always on"),
        Field(0xE01E, "light_control_delay", U16, SET_MINUTES, accept=(0, 60)),
        Field(0xE01F, "light_control_voltage", U16, SET_VOLTAGE, accept=(1, 40)),
        Field(0xE020, "led_load_current", CENTI, SET_CURRENT),
    ),
    Field(0xE021, "special_power_control", U16, IDENTITY, note="bits; 2: no charging below 0 °C"),
)

SETTINGS = (
    Field(0xE001, "brightness", U16, SET_PERCENT, accept=(0, 100), hidden=True, note="street-light models"),
    Field(0xE002, "nominal_battery_capacity", U16, SET_CAPACITY, hidden=True, note="often a default, not the real size"),
    *BATTERY_SETTINGS,
    *LIGHT_SETTINGS,
)

NAME_WINDOWS = (
    Window("model", 12, 8, When.CONNECTION),
    Window("device_id", 26, 1, When.CONNECTION, optional=True),
)

CONTROLLER = Family(
    key="controller",
    title="Charge controller",
    client="RoverClient",
    gatt=MODULE,
    units=(255, 1, 16, 17, 96, 97),
    fields=(*NAME, *RATINGS, *LIVE, *SETTINGS),
    derived=(
        Derived("problem", ("faults",), bool, PROBLEM, note="any fault"),
        # The order of the two fault words is not proven, so a lone 0x0122 counts as well.
        Derived("problem", ("faults", "fault_code"), lambda faults, code: bool(faults or code), PROBLEM, note="or any bit"),
    ),
    windows=(
        NAME_WINDOWS[0],
        # 34 words are what the predecessors ask for; 35 carry both fault words (seen over the serial port).
        Window("live", 256, 35, or_else=((256, 34), (256, 32))),
        NAME_WINDOWS[1],
        Window("settings", 57345, 33, When.CONNECTION, or_else=((57348, 1),), optional=True),
        Window("ratings", 10, 2, When.CONNECTION, optional=True),
        Window("versions", 20, 6, When.CONNECTION, optional=True),
    ),
)
