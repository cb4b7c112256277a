"""Smart Shunt 300 (RTMShunt300…): talks without being asked, and is never written to.

Addresses are bytes from the start of its live block: 8 bytes head, then records of a tag byte and three more. Proven by one
captured beginning; what the other tags and the two check bytes at the end mean is not known.
"""

from renogybt.devices.battery import energy
from renogybt.devices.module import SHUNT_MODULE
from renogybt.protocol.codec import Number
from renogybt.protocol.quantity import CURRENT, POWER, SOC, STATE, TEMPERATURE, VOLTAGE
from renogybt.protocol.table import Derived, Family, Field, Window

MARK = b"BW\x01"
LIVE, HISTORY = MARK + b"\x19", MARK + b"\x0b"
"""Heads of the two known kinds of block; the last byte counts the records."""
SIZE = 110
FIRST_RECORDS = 36
"""Bytes up to the end of the state of charge."""
TAGS = {20: 0xA4, 24: 0xA6, 28: 0xA6, 32: 0xA7}
IDLE_BELOW = 0.05
"""A; less than this is neither charging nor discharging."""

PROBE = Number(signed=True, per=10, absent=0x8000)


def watts(volts: float, amps: float) -> float:
    return round(volts * amps, 2)


def status(amps: float) -> str:
    if abs(amps) <= IDLE_BELOW:
        return "idle"
    return "charging" if amps > 0 else "discharging"


def find_block(heard: bytes) -> bytes | None:
    """The last live block in what was `heard`, None while there is none.

    Junk in front, a start in the middle of a block and history blocks are passed over. A block that the next one cut short
    still gives its first records when their tags vouch for them.
    """
    heads = [at for at in range(len(heard) - len(LIVE) + 1) if heard[at : at + len(LIVE)] in (LIVE, HISTORY)]
    short: bytes | None = None
    end: int | None = None
    for start in reversed(heads):
        block = bytes(heard[start:end][:SIZE])
        if block.startswith(LIVE):
            if len(block) == SIZE:
                return block
            if end is not None and short is None:
                short = _beginning(block)
        end = start
    return short


def _beginning(block: bytes) -> bytes | None:
    whole = len(block) >= FIRST_RECORDS and all(block[at] == tag for at, tag in TAGS.items())
    return block[:FIRST_RECORDS] if whole else None


SHUNT = Family(
    key="shunt",
    title="Smart Shunt",
    client="ShuntClient",
    gatt=SHUNT_MODULE,
    stride=1,
    timeout=30.0,
    block_in=find_block,
    fields=(
        Field(
            21, "charge_amps", Number(3, signed=True, per=1000), CURRENT, label="Current", accept=(-500, 500), precision=2
        ),
        Field(25, "main_battery_voltage", Number(3, per=1000), VOLTAGE, label="Voltage", accept=(6, 80), precision=2),
        Field(30, "starter_battery_voltage", Number(per=1000), VOLTAGE, accept=(0, 80), precision=2),
        Field(34, "main_battery_percent", Number(per=10), SOC, label="State of charge", accept=(0, 100)),
        Field(66, "battery_temperature", PROBE, TEMPERATURE, label="Temperature", accept=(-40, 100)),
        Field(70, "starter_battery_temperature", PROBE, TEMPERATURE, accept=(-40, 100)),
    ),
    derived=(
        Derived(
            "starter_battery_voltage",
            ("starter_battery_voltage",),
            lambda volts: volts or None,
            VOLTAGE,
            note="0 V means that it is not wired: no value",
        ),
        Derived(
            "charge_watts",
            ("main_battery_voltage", "charge_amps"),
            watts,
            POWER,
            "Power",
            precision=1,
            note="voltage × current, + charging",
        ),
        Derived(
            "shunt_status",
            ("charge_amps",),
            status,
            STATE.but(icon="mdi:battery-sync"),
            "Charging state",
            options=["charging", "discharging", "idle"],
            note="idle up to 0.05 A",
        ),
        *energy("main_battery_voltage", "charge_amps"),
    ),
    windows=(Window("live", 0, SIZE),),
)
