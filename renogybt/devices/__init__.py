"""The tables of all device families, and which table fits which device."""

from functools import lru_cache

from renogybt.devices.bank import PREFIX, bank, bank_key, units_of
from renogybt.devices.battery import BATTERY, BATTERY_RNGC, BATTERY_RNGPRO, BATTERY_RNGRBP
from renogybt.devices.controller import CONTROLLER
from renogybt.devices.dc_charger import DC_CHARGER, DC_CHARGER_G6
from renogybt.devices.history import HISTORY
from renogybt.devices.inverter import INVERTER, INVERTER_REGO, INVERTER_RIV4835
from renogybt.devices.inverter_hf import INVERTER_HF
from renogybt.devices.recognise import doubt, guess_type, key_for
from renogybt.devices.shunt import SHUNT
from renogybt.protocol.table import Family

__all__ = ["FAMILIES", "bank_key", "doubt", "family", "for_type", "guess_type"]

FAMILIES: dict[str, Family] = {
    table.key: table
    for table in (
        CONTROLLER,
        HISTORY,
        BATTERY,
        BATTERY_RNGRBP,
        BATTERY_RNGC,
        BATTERY_RNGPRO,
        DC_CHARGER,
        DC_CHARGER_G6,
        INVERTER,
        INVERTER_REGO,
        INVERTER_RIV4835,
        INVERTER_HF,
        SHUNT,
    )
}


@lru_cache(maxsize=64)
def _bank(key: str) -> Family:
    return bank(units_of(key))


def family(key: str) -> Family:
    """The table with that key; `bank:48,49` makes the one of a bank. Raises `KeyError`."""
    if key in FAMILIES:
        return FAMILIES[key]
    if not key.startswith(PREFIX):
        raise KeyError(f"no device table is called {key!r}; there are {', '.join(FAMILIES)} and {PREFIX}<ids>")
    try:
        return _bank(key)
    except ValueError as error:
        raise KeyError(f"no bank can be made of {key!r}: {error}") from error


def for_type(type: str, variant: str = "auto", name: str = "", model: str = "") -> Family:
    """The table for a device of the configured `type` and `variant`, as far as advertised name and model text tell.

    Always the same object for the same table. Raises `UserError` for a type or variant that does not exist.
    """
    return FAMILIES[key_for(type, variant, name, model)]
