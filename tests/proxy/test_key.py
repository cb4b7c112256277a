"""The key: made, checked, and never shown; the name and address of the node; its memory."""

from __future__ import annotations

import json
import os
from binascii import a2b_base64
from pathlib import Path

import pytest

from renogybt.cli.esphome_key import main
from renogybt.config import describe, load
from renogybt.errors import ConfigError, UserError
from renogybt.proxy.memory import Memory
from renogybt.proxy.nameplate import LONGEST_NAME, nameplate
from renogybt.proxy.node import EsphomeNode
from renogybt.settings import HomeAssistantProxy
from tests.proxy.given import HOST, KEY, settings

DEVICE = "[device]\nmac_addr = 80:6F:B0:0F:EA:2B\n[home_assistant_proxy]\nenabled = true\n"


def test_a_new_key_fits_into_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["esphome-key"]) == 0
    first = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out != first
    (line,) = [line for line in first.splitlines() if line.startswith("encryption_key = ")]
    file = tmp_path / "config.ini"
    file.write_text(DEVICE + line + "\n")
    found = load(file, {})
    assert len(found.home_assistant_proxy.key()) == 32
    assert found.home_assistant_proxy.encryption_key not in describe(found) + repr(found)


def test_the_command_takes_no_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["esphome-key", "--help"]) == 0
    assert main(["esphome-key", "config.ini"]) == 2
    assert "config.ini" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["x", "QUJD", KEY[:-1], KEY + "A", "A" * 43 + "=", "MDAw" * 10 + "MDA=", f" {KEY[:20]}\n{KEY[20:]}"]
)
def test_what_is_no_key(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="must be 32 random bytes") as caught:
        HomeAssistantProxy(encryption_key=text).key()
    assert text not in str(caught.value) or len(text) < 4
    if "\n" not in text:
        file = tmp_path / "config.ini"
        file.write_text(f"{DEVICE}encryption_key = {text}\n")
        with pytest.raises(ConfigError, match="must be 32 random bytes"):
            load(file, {})
    known = settings(tmp_path, encryption_key=text)
    with pytest.raises(UserError, match="encryption_key"):
        EsphomeNode(known, [], host=HOST)


def test_a_key() -> None:
    assert HomeAssistantProxy(encryption_key=KEY).key() == a2b_base64(KEY)
    assert HomeAssistantProxy().key() == b""


@pytest.mark.parametrize(
    ("given", "name", "friendly"),
    [
        ("my-van", "my-van", "My van"),
        ("Camper Van (blue)", "camper-van-blue", "Camper Van (blue)"),
        ("Wäscheküche", "waschekuche", "Wäscheküche"),
        ("Straße 5", "strasse-5", "Straße 5"),
        ("two\nlines\x00", "two-lines", "Twolines"),
        ("ä" * 200, "a" * LONGEST_NAME, "ä" * 60),
        ("x" * 60, "x" * LONGEST_NAME, None),
    ],
)
def test_names(tmp_path: Path, given: str, name: str, friendly: str | None) -> None:
    plate = nameplate(settings(tmp_path, device_name=given))
    assert plate.name == name
    assert friendly in (None, plate.friendly_name)


def test_bridges_nobody_named_differ(tmp_path: Path) -> None:
    one, other = nameplate(settings(tmp_path)), nameplate(settings(tmp_path / "other"))
    assert one.name == f"renogy-bridge-{one.digits[-6:]}"
    assert one.name != other.name
    assert one == nameplate(settings(tmp_path))


@pytest.mark.parametrize("given", ["---", "太阳能", "Renogy bridge"])
def test_what_leaves_no_name_is_as_good_as_none(tmp_path: Path, given: str) -> None:
    one, other = (nameplate(settings(tmp_path / place, device_name=given)) for place in "ab")
    assert one.name.startswith("renogy-bridge-")
    assert one.name != other.name


def test_the_address_survives_a_move(tmp_path: Path) -> None:
    first = EsphomeNode(settings(tmp_path), [], host=HOST)
    first._remember()
    (tmp_path / "new").mkdir()
    os.rename(tmp_path / "esphome.json", tmp_path / "new" / "esphome.json")
    assert EsphomeNode(settings(tmp_path / "new"), [], host=HOST).plate == first.plate


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff", b'{"mac": 5, "devices": []}', b'{"mac": "x"}', b"[" * 100_000]
)
def test_a_memory_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "esphome.json").write_bytes(content)
    node = EsphomeNode(settings(tmp_path), [], host=HOST)
    assert node.plate == nameplate(settings(tmp_path))
    node._remember()
    assert json.loads((tmp_path / "esphome.json").read_text())["mac"] == node.plate.mac


def test_a_torn_memory_has_a_backup(tmp_path: Path) -> None:
    path = tmp_path / "esphome.json"
    memory = Memory(path)
    memory.write("02:00:00:00:00:01", {"a": 1})
    memory.write("02:00:00:00:00:01", {"a": 2})
    path.write_text("{")
    assert Memory(path).devices == {"a": 1}
    assert Memory(path).mac == "02:00:00:00:00:01"


def test_nothing_new_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "esphome.json"
    Memory(path).write("02:00:00:00:00:01", {"a": 1})
    before = path.stat().st_mtime_ns, path.stat().st_ino
    Memory(path).write("02:00:00:00:00:01", {"a": 1})
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before


def test_a_folder_that_cannot_be_written_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "esphome.json")
    memory.write("m", {})
    memory.write("m", {"a": 1})
    assert len([record for record in caplog.records if "cannot be written" in record.getMessage()]) == 1


def test_the_memory_is_a_file_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "config.ini"
    file.write_text(DEVICE + "state_file = energy_totals.json\n[data]\nenergy_file = energy_totals.json\n")
    with pytest.raises(ConfigError, match="is the same file as"):
        load(file, {})
