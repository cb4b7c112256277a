"""Which table fits which device."""

import pytest

from renogybt import devices
from renogybt.errors import UserError

CASES = [
    # type, variant, advertised name, model text, table
    ("RNG_CTRL", "auto", "BT-TH-66ED1234", "RNG-CTRL-RVR40", "controller"),
    ("RNG_CTRL", "auto", "BT-TH-66ED1234", "DCC50S", "controller"),
    ("RNG_CTRL_HIST", "auto", "", "", "history"),
    ("RNG_SHNT", "auto", "RTMShunt30012345", "", "shunt"),
    ("RNG_BATT", "auto", "", "", "battery"),
    ("RNG_BATT", "auto", "BT-TH-66ED1234   ", "RBT100LFP12-BT", "battery"),
    ("RNG_BATT", "auto", "RNGRBP1228000830  ", "", "battery_rngrbp"),
    ("RNG_BATT", "auto", "RNGRBP1228000830", "RBT12500LFP-SHBT", "battery_rngrbp"),
    ("RNG_BATT", "auto", "RNGC122BAT28000194", "RBT12200LFP-B", "battery_rngc"),
    ("RNG_BATT", "auto", "RNGPRO125BAT-EF036881", "", "battery_rngpro"),
    ("RNG_BATT", "auto", "BT-TH-66ED1234", "RBT12500LFP-SHBT", "battery_rngpro"),
    ("RNG_BATT", "auto", "BT-TH-66ED1234", " RBT12100LFP-BT", "battery_rngpro"),
    ("RNG_BATT", "auto", "rngrbp1228000830", "", "battery"),
    ("RNG_BATT", "auto", "MY RNGRBP", "", "battery"),
    ("RNG_BATT", "legacy", "RNGRBP1228000830", "RBT12500LFP-SHBT", "battery"),
    ("RNG_BATT", "rngrbp", "", "", "battery_rngrbp"),
    ("RNG_BATT", "rngc", "RNGPRO125BAT-EF036881", "", "battery_rngc"),
    ("RNG_BATT", "rngpro", "", "RBT100LFP12-BT", "battery_rngpro"),
    ("RNG_DCC", "auto", "", "", "dc_charger"),
    ("RNG_DCC", "auto", "BT-TH-66ED1234", "DCC50S", "dc_charger"),
    ("RNG_DCC", "auto", "BT-TH-66ED1234", "RBC50D1S-G6 ", "dc_charger_g6"),
    ("RNG_DCC", "auto", "BT-TH-66ED1234", "RBC50D1S-G65", "dc_charger"),
    ("RNG_DCC", "generic", "", "RBC50D1S-G6", "dc_charger"),
    ("RNG_DCC", "g6", "", "DCC50S", "dc_charger_g6"),
    ("RNG_INVT", "auto", "", "", "inverter"),
    ("RNG_INVT", "auto", "BTRIC134000035", "", "inverter_rego"),
    ("RNG_INVT", "auto", "", "RIV1230RCH-SPS", "inverter_rego"),
    ("RNG_INVT", "auto", "RNGRIU1234", "RIV1220PU-126", "inverter"),
    ("RNG_INVT", "auto", "BT-TH-66ED1234", "RIV4835CSH1S", "inverter_riv4835"),
    ("RNG_INVT", "auto", "", "RIV1230PCH-23S", "inverter"),
    ("RNG_INVT", "generic", "BTRIC134000035", "RIV4835CSH1S", "inverter"),
    ("RNG_INVT", "riv4835", "", "", "inverter_riv4835"),
    ("RNG_INVT_HF", "auto", "", "RIV4835CSH1S", "inverter_hf"),
]


@pytest.mark.parametrize(("type", "variant", "name", "model", "key"), CASES)
def test_recognition(type, variant, name, model, key):
    family = devices.for_type(type, variant, name, model)
    assert family is devices.FAMILIES[key]
    assert family is devices.family(key)


@pytest.mark.parametrize(
    ("type", "variant", "allowed"),
    [
        ("RNG_CTRL", "g6", "Use auto."),
        ("RNG_CTRL", "generic", "Use auto."),
        ("RNG_SHNT", "legacy", "Use auto."),
        ("RNG_INVT_HF", "riv4835", "Use auto."),
        ("RNG_BATT", "generic", "Use auto, legacy, rngrbp, rngc, rngpro."),
        ("RNG_DCC", "riv4835", "Use auto, generic, g6."),
        ("RNG_INVT", "g6", "Use auto, generic, riv4835."),
        ("RNG_BAT", "auto", "RNG_BATT"),
    ],
)
def test_what_makes_no_sense_is_the_users_to_mend(type, variant, allowed):
    with pytest.raises(UserError) as caught:
        devices.for_type(type, variant)
    assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("type", "model", "better"),
    [
        ("RNG_CTRL", "DCC50S", "RNG_DCC"),
        ("RNG_CTRL", "RBC50D1S-G6", "RNG_DCC"),
        ("RNG_CTRL", "RIV1230RCH-SPS", "RNG_INVT"),
        ("RNG_CTRL_HIST", "DCC30S", "RNG_DCC"),
        ("RNG_DCC", "  RNG-CTRL-RVR40", "RNG_CTRL"),
        ("RNG_DCC", "RCC40RVRE", "RNG_CTRL"),
        ("RNG_INVT", "RBT100LFP12-BT", "RNG_BATT"),
    ],
)
def test_doubt(type, model, better):
    hint = devices.doubt(type, model)
    assert better in hint
    assert model.strip() in hint
    assert f"type = {type}" in hint


@pytest.mark.parametrize(
    ("type", "model"),
    [
        ("RNG_CTRL", "RNG-CTRL-WND10"),
        ("RNG_CTRL", "ML4860N15"),
        ("RNG_CTRL", "MT4830"),
        ("RNG_CTRL", ""),
        ("RNG_CTRL_HIST", "RCC40RVRE"),
        ("RNG_DCC", "RBC20D1U"),
        ("RNG_BATT", "RBT50LFP48S"),
        ("RNG_INVT_HF", "RIV1230PCH-23S"),
    ],
)
def test_no_doubt(type, model):
    assert devices.doubt(type, model) == ""


@pytest.mark.parametrize(
    ("name", "model", "type"),
    [
        ("RTMShunt30012345", "", "RNG_SHNT"),
        ("RNGC122BAT28000194", "", "RNG_BATT"),
        ("RNGRIU1234", "", "RNG_INVT"),
        ("BT-TH-66ED1234", "", ""),
        ("BT-TH-66ED1234", "RBC2125DS-21W", "RNG_DCC"),
        ("BT-TH-66ED1234", "RNG-CTRL-RVRPG40", "RNG_CTRL"),
        ("RNGONECore1", "", ""),
    ],
)
def test_guessing_the_type(name, model, type):
    assert devices.guess_type(name, model) == type


def test_tables_that_do_not_exist():
    with pytest.raises(KeyError, match="no device table is called 'rover'"):
        devices.family("rover")
    for key in ("bank:", "bank:48,x", "bank:48,48", "bank:48, 49"):
        with pytest.raises(KeyError, match="no bank"):
            devices.family(key)


def test_a_bank_is_made_once():
    assert devices.family("bank:48,49") is devices.family("bank:48,49")
    assert devices.bank_key((48, 49)) == "bank:48,49"
    assert devices.family("bank:48,49").keys() != devices.family("bank:49,48").keys()
