"""Several batteries in parallel as one: what the program adds up from their readings."""

from collections.abc import Iterator

from renogybt.devices.module import MODULE
from renogybt.protocol.quantity import (
    CHARGE,
    CURRENT,
    ENERGY_KWH,
    IDENTITY,
    INNER_TEMPERATURE,
    NUMBER,
    PEAK_VOLTAGE,
    POWER,
    SOC,
    VOLTAGE,
    Quantity,
)
from renogybt.protocol.table import Derived, Family

PREFIX = "bank:"


def _sum(key: str, quantity: Quantity, label: str, precision: int, note: str) -> Derived:
    return Derived(key, (), None, quantity, label, precision=precision, note=note)


WHOLE = (
    Derived("device_id", (), None, IDENTITY, note="the word combined"),
    _sum("combined_voltage", VOLTAGE, "Bank voltage", 1, "mean"),
    _sum("combined_current", CURRENT, "Bank current", 2, "sum, + charging"),
    _sum("combined_power", POWER, "Bank power", 1, "sum, + charging"),
    _sum("combined_charge_percentage", SOC, "Bank state of charge", 1, "remaining / capacity, when every battery answered"),
    _sum("combined_remaining_charge", CHARGE, "Bank remaining charge", 1, "sum"),
    _sum("combined_capacity", CHARGE.but(diagnostic=True, icon="mdi:battery"), "Bank capacity", 0, "sum"),
    _sum("combined_energy_in_kwh", ENERGY_KWH, "Bank charged energy", 3, "sum"),
    _sum("combined_energy_out_kwh", ENERGY_KWH, "Bank discharged energy", 3, "sum"),
    _sum("combined_energy_in_today_kwh", ENERGY_KWH, "Bank charged energy today", 3, "sum"),
    _sum("combined_energy_out_today_kwh", ENERGY_KWH, "Bank discharged energy today", 3, "sum"),
    _sum("batteries_online", NUMBER.but(icon="mdi:battery-unknown"), "Batteries online", 0, "how many answered"),
)


def _each(unit: int) -> Iterator[Derived]:
    cells, warmth = f"battery_{unit}_cell_voltage", f"battery_{unit}_temperature"
    yield Derived(f"{cells}_min", (), None, PEAK_VOLTAGE, f"Battery {unit} lowest cell voltage", precision=3)
    yield Derived(f"{cells}_max", (), None, PEAK_VOLTAGE, f"Battery {unit} highest cell voltage", precision=3)
    for end, word in (("min", "lowest"), ("max", "highest")):
        label = f"Battery {unit} {word} temperature"
        yield Derived(f"{warmth}_{end}", (), None, INNER_TEMPERATURE, label, precision=1, hidden=True)


def bank_key(units: tuple[int, ...]) -> str:
    """The family's key for batteries with these bus addresses, in this order."""
    return PREFIX + ",".join(str(unit) for unit in units)


def units_of(key: str) -> tuple[int, ...]:
    """The bus addresses in a bank's key. Raises `ValueError` when it is no such key."""
    if not key.startswith(PREFIX):
        raise ValueError(f"{key!r} does not begin with {PREFIX}")
    units = tuple(int(part) for part in key.removeprefix(PREFIX).split(","))
    if len(set(units)) != len(units) or bank_key(units) != key:
        raise ValueError(f"{key!r} does not list bus addresses once each, like {PREFIX}48,49")
    return units


def bank(units: tuple[int, ...]) -> Family:
    """The table of a bank: nothing to read, the program adds every value."""
    return Family(
        key=bank_key(units),
        title="Battery bank",
        client="BatteryClient",
        gatt=MODULE,
        fields=(),
        derived=(*WHOLE, *(row for unit in units for row in _each(unit))),
        windows=(),
    )
