"""Systems at PVOutput: what each needs, whose readings it takes, and systems that would overwrite each other."""

from __future__ import annotations

import pytest

from renogybt.config import as_ini
from renogybt.config.checks.pvoutput import target
from tests.config.given import DEVICE, Folder

ROOF = "[device.roof]\nalias = attic\ntype = RNG_BATT\ndevice_id = 48,49\n"
BOTH = DEVICE + "alias = shed\n" + ROOF


def system(*lines: str, name: str = "pvoutput", number: int = 12345) -> str:
    return "\n".join([f"[{name}]", "enabled = true", "api_key = geheim", f"system_id = {number}", *lines]) + "\n"


def test_what_it_needs(folder: Folder) -> None:
    missing = folder.problems(DEVICE + "[pvoutput]\nenabled = true\n[pvoutput.east]\nenabled = true\nurl =\n")
    assert missing == [
        "config.ini, line 7: [pvoutput.east] url = (empty): is needed when PVOutput is enabled",
        "config.ini: [pvoutput] api_key: is needed when PVOutput is enabled",
        "config.ini: [pvoutput] system_id: is needed when PVOutput is enabled",
        "config.ini: [pvoutput.east] api_key: is needed when PVOutput is enabled",
        "config.ini: [pvoutput.east] system_id: is needed when PVOutput is enabled",
    ]
    problem = folder.problem(DEVICE + "[pvoutput]\nenabled = true\napi_key = geheim\nsystem_id = home\n")
    assert "[pvoutput] system_id = home: must be the number of your system" in problem


def test_as_the_predecessors_have_it(folder: Folder) -> None:
    (found,) = folder.load(DEVICE + system()).pvoutput
    assert (found.section, found.enabled, found.system_id, found.device) == ("pvoutput", True, "12345", "")
    assert not folder.warnings


def test_several(folder: Folder) -> None:
    text = (
        BOTH + system(name="pvoutput.Garden shed") + system("device = attic_49", "v2 = power", name="PVOUTPUT.x", number=6)
    )
    settings = folder.load(text + "[pvoutput]\nsystem_id = off\ndevice = nobody\n")
    assert not folder.warnings
    assert [(one.section, one.enabled, one.device) for one in settings.pvoutput] == [
        ("pvoutput.Garden shed", True, ""),
        ("pvoutput.x", True, "attic_49"),
        ("pvoutput", False, "nobody"),
    ]
    assert folder.load(as_ini(settings)) == settings


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("", "shed_255"),
        ("shed", "shed_255"),
        ("SHED_255", "shed_255"),
        ("device", "shed_255"),
        ("attic", "attic_combined"),
        ("attic_48", "attic_48"),
        ("attic_combined", "attic_combined"),
        ("device.roof", "attic_combined"),
        ("Roof", "attic_combined"),
        ("two", "two_17"),
        ("two_18", "two_18"),
    ],
)
def test_whose_readings(folder: Folder, word: str, meant: str) -> None:
    two = "[device.two]\nmac_addr = 80:6F:B0:0F:EA:2D\ndevice_id = 17,18\n"
    settings = folder.load(BOTH + two + system(f"device = {word}"))
    assert settings.pvoutput[0].device == word
    assert target(settings.pvoutput[0], settings.devices) == meant


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("atic", "did you mean attic?"),
        ("shed_1", "did you mean shed"),
        ("attic_50", "did you mean attic"),
        ("garage", "; there are shed, shed_255, attic, attic_48, attic_49, attic_combined"),
        ("days", "; there are shed, shed_255, attic,"),
    ],
)
def test_nobodys_readings(folder: Folder, word: str, words: str) -> None:
    history = "[device.days]\nmac_addr = 80:6F:B0:0F:EA:2B\ntype = RNG_CTRL_HIST\n"
    problem = folder.problem(BOTH + history + system(f"device = {word}"))
    assert f"[pvoutput] device = {word}: no device with live values is called so" in problem
    assert words in problem


def test_no_controller(folder: Folder) -> None:
    folder.load(ROOF + system())
    (warning,) = folder.warnings
    assert "[pvoutput] device: nothing will be sent, because there is no charge controller" in warning
    folder.load(ROOF + system("device = roof"))
    assert not folder.warnings


def test_nothing_is_concluded_from_a_faulty_device(folder: Folder) -> None:
    problem = folder.problem("[device]\nmac_addr = nonsense\n" + system("device = BT-TH-B00FEA2B"))
    assert "[device] mac_addr = nonsense" in problem


@pytest.mark.parametrize(
    "url",
    ["pvoutput.org", "ftp://pvoutput.org", "https://pvoutput.org/?key=x", "https://pvoutput.org/#x"],
)
def test_addresses(folder: Folder, url: str) -> None:
    problem = folder.problem(DEVICE + system(f"url = {url}"))
    assert "[pvoutput] url = " in problem
    assert "like https://pvoutput.org/service/r2/" in problem
    for sound in ("http://127.0.0.1:8000", "https://proxy.local/pv/"):
        assert folder.load(DEVICE + system(f"url = {sound}")).pvoutput[0].url == sound


@pytest.mark.parametrize("minutes", [1, 5, 6, 10, 15, 30])
def test_status_interval(folder: Folder, minutes: int) -> None:
    assert folder.load(DEVICE + system(f"status_interval = {minutes}")).pvoutput[0].status_interval == minutes
    assert len(folder.warnings) == (minutes not in (5, 10, 15))
    assert all("is set to 5, 10 or 15 minutes" in warning for warning in folder.warnings)


def test_names_of_values(folder: Folder) -> None:
    names = ["pv_power", "power_generation_today", "load_curent", "cell_voltage_0", "-battery_48_temperature_max"]
    lines = [f"v{number} = {name}" for number, name in enumerate(names, 8)]
    folder.load(BOTH + system(*lines))
    assert not folder.warnings
    folder.load(BOTH + system("v1 = batery_voltage", "v12 = qqq", "v7 = battery_50_temperature_max", "v8 = pv_*"))
    assert [warning.partition("[pvoutput] ")[2] for warning in folder.warnings] == [
        "v1 = batery_voltage: no device has a value called batery_voltage; did you mean battery_voltage?",
        "v7 = battery_50_temperature_max: no device has a value called battery_50_temperature_max; "
        "did you mean battery_49_temperature_max?",
        "v8 = pv_*: no device has a value called pv_*",
        "v12 = qqq: no device has a value called qqq",
    ]
    folder.load(BOTH + system("v1 = qqq").replace("enabled = true", "enabled = false"))
    assert not folder.warnings


@pytest.mark.parametrize("word", ["", "shed", "shed_255", "device"])
def test_the_same_device_to_the_same_system(folder: Folder, word: str) -> None:
    text = BOTH + system("device = shed") + system(f"device = {word}", name="pvoutput.east")
    problem = folder.problem(text)
    assert "line 16: [pvoutput.east] system_id = 12345: [pvoutput] already sends the same device to this system" in problem


@pytest.mark.parametrize(
    "other",
    [
        system("device = shed", name="pvoutput.east", number=6),
        system("device = attic", name="pvoutput.east"),
        system("device = shed", name="pvoutput.east").replace("enabled = true", "enabled = false"),
    ],
)
def test_two_side_by_side(folder: Folder, other: str) -> None:
    assert len(folder.load(BOTH + system() + other).pvoutput) == 2
    assert not folder.warnings
