"""Which table fits which device, told by configured type, advertised name and model text. Nothing is asked here."""

import re

from renogybt.errors import UserError

PLAIN = {
    "RNG_CTRL": "controller",
    "RNG_CTRL_HIST": "history",
    "RNG_BATT": "battery",
    "RNG_INVT": "inverter",
    "RNG_INVT_HF": "inverter_hf",
    "RNG_DCC": "dc_charger",
    "RNG_SHNT": "shunt",
}
"""The table of a type while nothing more is known."""

FORCED = {
    "RNG_BATT": {
        "legacy": "battery",
        "rngrbp": "battery_rngrbp",
        "rngc": "battery_rngc",
        "rngpro": "battery_rngpro",
    },
    "RNG_DCC": {"generic": "dc_charger", "g6": "dc_charger_g6"},
    "RNG_INVT": {"generic": "inverter", "riv4835": "inverter_riv4835"},
}
"""What a user may force, where the types have variants at all."""

NAMES = (
    ("RNG_BATT", r"RNGRBP", "battery_rngrbp"),
    ("RNG_BATT", r"RNGPRO", "battery_rngpro"),
    ("RNG_BATT", r"RNGC", "battery_rngc"),
    ("RNG_INVT", r"BTRIC", "inverter_rego"),
)
"""What the advertised name begins with. `BT-TH-…` says nothing about what hangs behind it."""

MODELS = (
    ("RNG_BATT", r"RBT\d+LFP-SHBT|RBT12100LFP-BT", "battery_rngpro"),
    ("RNG_DCC", r".*-G6$", "dc_charger_g6"),
    ("RNG_INVT", r"RIV4835", "inverter_riv4835"),
    ("RNG_INVT", r"RIV\d+RCH", "inverter_rego"),
)
"""What the model text looks like. The current of a battery is counted as its name says; the model only comes after it."""

KINDS = (
    (r"RTMShunt", "RNG_SHNT", "a Smart Shunt"),
    (r"DCC|RBC\d+D", "RNG_DCC", "a DC-DC charger"),
    (r"RBT|RNGRBP|RNGPRO|RNGC", "RNG_BATT", "a battery"),
    (r"RIV|BTRIC|RNGRIU", "RNG_INVT", "an inverter"),
    (r"RNG-CTRL|RCC|ML\d", "RNG_CTRL", "a charge controller"),
)
SAME_KIND = {"RNG_CTRL_HIST": "RNG_CTRL", "RNG_INVT_HF": "RNG_INVT"}


def key_for(type: str, variant: str = "auto", name: str = "", model: str = "") -> str:
    """The key of the table for a device. Raises `UserError` for a type or a variant that does not exist.

    A forced variant wins over the advertised name, and the name over the model text. The type is never second-guessed
    (`doubt` says when it seems wrong).
    """
    if type not in PLAIN:
        raise UserError(f"type = {type}: there is no such device type. Use one of {', '.join(PLAIN)}.")
    if variant != "auto":
        choices = FORCED.get(type, {})
        if variant not in choices:
            allowed = ", ".join(["auto", *choices])
            raise UserError(f"variant = {variant}: makes no sense for type = {type}. Use {allowed}.")
        return choices[variant]
    return _match(NAMES, type, name) or _match(MODELS, type, model) or PLAIN[type]


def _match(rules: tuple[tuple[str, str, str], ...], type: str, text: str) -> str | None:
    text = text.strip()
    return next((key for kind, pattern, key in rules if kind == type and re.match(pattern, text)), None)


def guess_type(name: str = "", model: str = "") -> str:
    """The device type that an advertised name or a model text gives away, "" when they do not."""
    return next((kind for text in (model, name) for pattern, kind, _ in KINDS if re.match(pattern, text.strip())), "")


def doubt(type: str, model: str) -> str:
    """A hint for the log when the model text speaks against the configured type, else ""."""
    kind = guess_type(model=model)
    if not kind or kind == SAME_KIND.get(type, type):
        return ""
    what = next(text for _, other, text in KINDS if other == kind)
    return f"the device calls itself {model.strip()}, which is {what}: is type = {type} right, or should it be {kind}?"
