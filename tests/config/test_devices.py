"""Device sections: what tells a module from others, its name, and devices that would stand in each other's way."""

from __future__ import annotations

import pytest

from tests.config.given import DEVICE, Folder

ANOTHER = "80:6F:B0:0F:EA:2C"


def section(name: str, *lines: str, mac: str = ANOTHER) -> str:
    return "\n".join([f"[{name}]", f"mac_addr = {mac}", *lines]) + "\n"


@pytest.mark.parametrize(
    ("written", "address", "alias"),
    [
        ("80:6f:b0:0f:ea:2b", "80:6F:B0:0F:EA:2B", "BT-TH-B00FEA2B"),
        ("80-6F-B0-0F-EA-2B", "80:6F:B0:0F:EA:2B", "BT-TH-B00FEA2B"),
        ('" 80:6F:B0:0F:EA:2B "', "80:6F:B0:0F:EA:2B", "BT-TH-B00FEA2B"),
        ("7d3e9d2a-1b60-4b3f-9c1e-5a4f0a7e1c22", "7D3E9D2A-1B60-4B3F-9C1E-5A4F0A7E1C22", "BT-TH-0A7E1C22"),
    ],
)
def test_addresses(folder: Folder, written: str, address: str, alias: str) -> None:
    (device,) = folder.load(f"[device]\nmac_addr = {written}\n").devices
    assert (device.mac_addr, device.alias) == (address, alias)


@pytest.mark.parametrize(
    "written", ["80:6F:B0:0F:EA", "80:6F:B0:0F:EA:2B:1C", "80:6F:B0:0F:EA:2G", "BT-TH-B00FEA2B", "hci0"]
)
def test_what_is_no_address(folder: Folder, written: str) -> None:
    problem = folder.problem(f"[device]\nmac_addr = {written}\n")
    assert f"line 2: [device] mac_addr = {written}: must be a Bluetooth address like" in problem


def test_alias_alone_will_do(folder: Folder) -> None:
    (device,) = folder.load("[device]\nalias = BT-TH-B00FEA2B\n").devices
    assert (device.mac_addr, device.alias) == ("", "BT-TH-B00FEA2B")


@pytest.mark.parametrize("line", ["", "mac_addr =", "mac_addr =\nalias =", "type = RNG_BATT"])
def test_nothing_to_find_it_by(folder: Folder, line: str) -> None:
    for name in ("device", "device.roof"):
        problem = folder.problem(f"[{name}]\n{line}\n")
        assert f"[{name}] mac_addr" in problem
        assert "is missing: put in the address" in problem


@pytest.mark.parametrize("line", ["alias = BT-TH-B00FXXXX", "alias = BT-TH-XXXXXX"])
def test_placeholder_for_a_name(folder: Folder, line: str) -> None:
    assert "[device] alias = BT-TH-" in folder.problem(f"[device]\n{line}\n")


def test_several_sections(folder: Folder) -> None:
    settings = folder.load(
        DEVICE
        + section("device.Roof", "poll_interval = 5", "adapter = hci1")
        + section("DEVICE. my van ", "type = RNG_DCC", "alias = van", mac="80:6F:B0:0F:EA:2D")
        + "[data]\npoll_interval = 30\n"
    )
    assert [(device.section, device.alias) for device in settings.devices] == [
        ("device", "BT-TH-B00FEA2B"),
        ("device.Roof", "Roof"),
        ("device.my van", "van"),
    ]
    assert [settings.period(device) for device in settings.devices] == [30, 5, 30]
    assert settings.devices[1].adapter == "hci1"


def test_only_named_sections(folder: Folder) -> None:
    assert [device.section for device in folder.load(section("device.roof")).devices] == ["device.roof"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("device_id = 48,49,0x30", "48 stands in the list more than once"),
        ("device_id = 255,48", "255 reaches whoever is there"),
        ("device_id = ,", "at least one bus address"),
        ("type = RNG_SHNT\ndevice_id = 1,2", "a Smart Shunt is one device"),
        ("variant = legacy", "must be auto for type RNG_CTRL"),
        ("variant = g6\ntype = RNG_BATT", "must be one of auto, legacy, rngrbp, rngc, rngpro for type RNG_BATT"),
        ("variant = rngc\ntype = RNG_DCC", "must be one of auto, generic, g6 for type RNG_DCC"),
        ("variant = g6\ntype = RNG_INVT", "must be one of auto, generic, riv4835 for type RNG_INVT"),
        ("variant = riv4835\ntype = RNG_INVT_HF", "must be auto"),
        ("alias = a/b", "without + # and /"),
        ("alias = a+b", "without + # and /"),
    ],
)
def test_one_device(folder: Folder, line: str, words: str) -> None:
    assert words in folder.problem(f"{DEVICE}{line}\n")


@pytest.mark.parametrize(
    ("kind", "variant"),
    [("RNG_BATT", "rngpro"), ("RNG_DCC", "g6"), ("RNG_INVT", "riv4835"), ("RNG_DCC", "generic"), ("RNG_CTRL", "auto")],
)
def test_variants_that_fit(folder: Folder, kind: str, variant: str) -> None:
    assert folder.load(f"{DEVICE}type = {kind}\nvariant = {variant}\n").devices[0].variant == variant


ONE = section("device.one", "type = RNG_BATT", "device_id = 48,49")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (section("device.two", "type = RNG_BATT", "device_id = 49"), "RNG_BATT 49 of this module is already read by"),
        (section("device.two", "type = RNG_BATT", "device_id = 50,51"), "put these into device_id of [device.one]"),
        (section("device.two", "device_id = 49", "alias = one"), "one_49 would be the name of this device and of one in"),
        (section("device.two", "device_id = 17", "adapter = hci1"), "must be as in [device.one]"),
        (section("device.two", "device_id = 17", "connection = per_read"), "must be as in [device.one]"),
        (section("device.two", "alias = one", "device_id = 48", mac="80:6F:B0:0F:EA:2D"), "one_48 would be the name"),
        (
            section("device.two", "type = RNG_BATT", "alias = one", "device_id = 50,51", mac="80:6F:B0:0F:EA:2D"),
            "one_combined would be the name",
        ),
    ],
)
def test_two_in_each_others_way(folder: Folder, other: str, words: str) -> None:
    problem = folder.problem(ONE + other)
    assert "[device.two]" in problem
    assert words in problem


@pytest.mark.parametrize(
    "other",
    [
        section("device.two", "device_id = 17"),
        section("device.two", "device_id = 48", "type = RNG_INVT"),
        section("device.two", "type = RNG_BATT", "device_id = 50"),
        section("device.two", "type = RNG_BATT", "device_id = 48,49", mac="80:6F:B0:0F:EA:2D"),
    ],
)
def test_two_side_by_side(folder: Folder, other: str) -> None:
    assert len(folder.load(ONE + other).devices) == 2
    assert not folder.warnings


def test_controller_and_its_history(folder: Folder) -> None:
    history = section("device.days", "type = RNG_CTRL_HIST", "alias = BT-TH-B00FEA2B", mac="80:6F:B0:0F:EA:2B")
    assert "give it another alias" in folder.problem(DEVICE + history)
    settings = folder.load(DEVICE + history.replace("alias = BT-TH-B00FEA2B", ""))
    assert [device.alias for device in settings.devices] == ["BT-TH-B00FEA2B", "days"]
    assert not folder.warnings


def test_anybody_on_a_shared_module_is_doubtful(folder: Folder) -> None:
    folder.load(ONE + section("device.two"))
    assert "255 reaches whoever is there" in folder.warnings[0]


def test_nothing_is_concluded_from_a_faulty_value(folder: Folder) -> None:
    problems = folder.problems(
        section("device.one", "device_id = x")
        + section("device.two", "device_id = y")
        + section("device.three", mac="nonsense")
    )
    assert [problem.partition(" = ")[0].partition("[")[2] for problem in problems] == [
        "device.one] device_id",
        "device.two] device_id",
        "device.three] mac_addr",
    ]
