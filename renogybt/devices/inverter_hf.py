"""RIV1230PCH-23S ("HF"), by the labels of the predecessors' newest client: one owner's map, no captured frame.

It contradicts the generic inverter map in 4001 to 4005 and 4333, and nobody has settled which is right. So this table is
used only when it is asked for (`type = RNG_INVT_HF`). The settings are those that the maker's app was seen to read.
"""

from renogybt.devices.inverter import INVERTER, NAME, NONE, PRIORITIES, SIGNED_TENTHS, TENTHS, WORD
from renogybt.devices.module import INVERTER_MODULE
from renogybt.protocol.codec import Choice, NotZero
from renogybt.protocol.quantity import (
    CURRENT,
    FLAG,
    IDENTITY,
    INNER_FREQUENCY,
    INNER_TEMPERATURE,
    SET_CURRENT,
    SET_VOLTAGE,
    STATE,
    TEMPERATURE,
    VOLTAGE,
)
from renogybt.protocol.table import Family, Field, When, Window, hidden

MODES = {4: "line/charging", 5: "inverting/battery"}
SETTING = STATE.but(diagnostic=True)

LIVE = (
    Field(4000, "ac_input_voltage", TENTHS, VOLTAGE, label="AC input voltage", accept=(0, 280)),
    Field(4001, "ac_input_frequency", TENTHS, INNER_FREQUENCY, label="AC input frequency", accept=(0, 70), precision=2),
    Field(4002, "ac_voltage_setting", TENTHS, SET_VOLTAGE, label="AC voltage setting", accept=(0, 280)),
    Field(4003, "battery_discharge_current", TENTHS, CURRENT, accept=(0, 300)),
    Field(4005, "battery_temperature", SIGNED_TENTHS, TEMPERATURE, accept=(-40, 100), note="perhaps the battery voltage"),
    Field(4006, "internal_temperature", SIGNED_TENTHS, INNER_TEMPERATURE, accept=(-40, 120)),
    Field(4301, "ac_input_present", NotZero(absent=NONE), FLAG.but(device_class="power"), label="AC input"),
    Field(4328, "battery_current", SIGNED_TENTHS, CURRENT, accept=(-300, 300)),
    Field(4332, "charging_active", NotZero(absent=NONE), FLAG.but(device_class="battery_charging"), label="Charging"),
    Field(4333, "charging_power_amps", TENTHS, CURRENT, label="Charging current (4333)", accept=(0, 300), hidden=True),
    Field(4405, "operating_mode_raw", WORD, IDENTITY),
    Field(4405, "operating_mode", Choice(MODES, absent=NONE), STATE),
    Field(4412, "charging_current", TENTHS, CURRENT, accept=(0, 300)),
    Field(4422, "max_charging_current_setting", TENTHS, SET_CURRENT, label="Charging current limit", accept=(0, 300)),
)

SETTINGS = hidden(
    Field(4101, "inverter_beep", Choice({0: "on", 1: "off"}, absent=NONE), SETTING),
    Field(4102, "inverter_output", Choice({1: "on", 2: "off"}, absent=NONE), SETTING),
    Field(4425, "inverter_equalization_voltage", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4426, "inverter_boost_voltage", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4427, "inverter_float_voltage", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4430, "inverter_low_voltage_warn", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4431, "inverter_overdischarge_shutdown", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4441, "inverter_output_priority", Choice(PRIORITIES, absent=NONE), SETTING),
    Field(4452, "inverter_over_voltage", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4453, "inverter_overvoltage_recovery", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4454, "inverter_undervoltage_recovery", TENTHS, SET_VOLTAGE, accept=(8, 70)),
    Field(4457, "inverter_lithium_activation", Choice({0: "off", 1: "on"}, absent=NONE), SETTING),
)

INVERTER_HF = Family(
    key="inverter_hf",
    title="Inverter RIV1230PCH (HF)",
    client="HFInverterClient",
    gatt=INVERTER_MODULE,
    units=INVERTER.units,
    pacing=INVERTER.pacing,
    timeout=INVERTER.timeout,
    fields=(*NAME, *LIVE, *SETTINGS),
    windows=(
        Window("main", 4000, 7),
        Window("mains", 4301, 1, optional=True, timeout=3.0),
        Window("charging", 4328, 6),
        Window("operating", 4405, 18),
        Window("device_id", 4109, 1, When.CONNECTION, optional=True, timeout=3.0),
        Window("model", 4311, 8, When.CONNECTION, optional=True, timeout=3.0),
        Window("switches", 4101, 2, When.HOUR, optional=True, timeout=3.0),
        Window("voltages", 4422, 10, When.HOUR, optional=True, timeout=3.0),
        Window("output_priority", 4441, 1, When.HOUR, optional=True, timeout=3.0),
        Window("over_voltage", 4452, 6, When.HOUR, optional=True, timeout=3.0),
    ),
)
