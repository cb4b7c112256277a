"""Devices behind ESPHome proxies: what `via` may look like, and that its key never shows."""

from __future__ import annotations

import string
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.config import describe
from renogybt.settings import Device, shown
from renogybt.settings.via import Via, parsed
from tests.config.given import DEVICE, Folder

KEY = "8x/+MzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
GOOD = f"esphome://192.168.1.20:6053?key={KEY}"


@pytest.mark.parametrize(
    ("text", "via"),
    [
        (GOOD, Via("192.168.1.20", 6053, KEY)),
        ("esphome://Shed.local", Via("shed.local")),
        ("esphome://shed:16053/", Via("shed", 16053)),
        (f"esphome://[fd00::1%eth0]:1?key={KEY}&password=a%20b%26", Via("fd00::1%eth0", 1, KEY, "a b&")),
        (f"  esphome://shed/?key={KEY.replace('+', '%2B').replace('=', '%3D')}", Via("shed", 6053, KEY)),
        (f'ESPHome://shed?key="{KEY}"', Via("shed", 6053, KEY)),
        (f"esphome://shed?key= {KEY}", Via("shed", 6053, KEY)),
        ("esphome://[fe80::1%25wlan0]", Via("fe80::1%wlan0")),
    ],
)
def test_what_it_may_look_like(text: str, via: Via) -> None:
    assert parsed(text) == via
    assert KEY not in repr(parsed(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("192.168.1.20", "must look like esphome://"),
        ("http://192.168.1.20", "must look like esphome://"),
        ("esphome://", "must look like esphome://"),
        (f"esphome://{KEY}@shed", "must look like esphome://"),
        (f"esphome://shed?{KEY}", "not known behind the ?"),
        (f"esphome://shed&key={KEY.replace('/', 'x')}", "must look like esphome://"),
        ("esphome://fd00::20", "needs brackets"),
        ("esphome://shed:0", "a port that does not exist"),
        ("esphome://shed:70000", "a port that does not exist"),
        ("esphome://shed?key=", "holds a key that is none"),
        ("esphome://shed?key=short", "holds a key that is none"),
        (f"esphome://shed?key={KEY[:-1]}", "holds a key that is none"),
        (f"esphome://shed?key={b64encode(bytes(32)).decode()}", "holds a key that is none"),
        (f"esphome://shed?key={KEY}&key={KEY}", "the same option twice"),
        (f"esphome://shed?psk={KEY}", "not known behind the ?"),
    ],
)
def test_what_it_may_not_look_like(folder: Folder, text: str, words: str) -> None:
    problem = folder.problem(f"{DEVICE}via = {text}\n")
    assert "line 3: [device] via = " in problem
    assert words in problem
    for secret in (KEY, KEY[:-1], KEY[:20]):
        assert secret not in problem


def test_the_key_is_never_shown(folder: Folder) -> None:
    settings = folder.load(f"{DEVICE}via = {GOOD}\n")
    assert settings.devices[0].via == GOOD
    assert "via = esphome://192.168.1.20:6053?***\n" in describe(settings)
    for text in (describe(settings), repr(settings), str(settings.devices[0])):
        assert KEY[:8] not in text


@pytest.mark.parametrize(
    "form", ["{}", "key={}", "a@b?key={}", "esphome://h&key={}", "esphome://h?key=x@{}", "h?password={}"]
)
def test_what_is_shown_of_an_address_that_is_written_wrongly(form: str) -> None:
    assert KEY not in shown(form.format(KEY))


@given(st.text(string.ascii_letters + string.digits + "@:/?&=%+", max_size=30), st.binary(min_size=32, max_size=32))
def test_no_key_is_shown_whatever_stands_around_it(around: str, key: bytes) -> None:
    text = b64encode(key).decode()
    for whole in (f"esphome://{around}?key={text}", f"{around} {text}", f"esphome://h?password={text}&{around}"):
        assert text not in shown(whole)
        assert text not in repr(Device(via=whole))


def test_devices_at_one_proxy_say_the_same_of_it(folder: Folder) -> None:
    other = "[device.pack]\nmac_addr = 80:6F:B0:0F:EA:2C\ntype = RNG_BATT\n"
    folder.load(f"{DEVICE}via = {GOOD}\n{other}via = esphome://192.168.1.20?key={KEY}\n")
    assert not folder.warnings
    problem = folder.problem(f"{DEVICE}via = {GOOD}\n{other}via = esphome://192.168.1.20\n")
    assert "[device.pack] via = " in problem
    assert "leads to the same proxy as that of [device], but with another key" in problem


def test_sections_behind_one_module_take_the_same_way(folder: Folder) -> None:
    other = "[device.pack]\nmac_addr = 80:6F:B0:0F:EA:2B\ntype = RNG_BATT\ndevice_id = 48\n"
    problem = folder.problem(f"{DEVICE}device_id = 1\nvia = {GOOD}\n{other}")
    assert "via: must be as in [device], which shares the connection to this module" in problem


def test_what_makes_no_sense_together_with_it(folder: Folder) -> None:
    folder.load(f"{DEVICE}via = {GOOD}&password=x\nadapter = hci1\n")
    assert any("adapter = hci1: is not used" in warning for warning in folder.warnings)
    assert any("gives a password" in warning for warning in folder.warnings)
    text = "[device]\nmac_addr = 24FB9A2E-AB02-4F7E-8F0B-1D2E3F405162\nalias = x\n"
    assert "what macOS calls a device means nothing there" in folder.problem(f"{text}via = {GOOD}\n")


def test_what_it_needs_is_not_installed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("renogybt.config.checks.via.find_spec", lambda name: None)
    problem = folder.problem(f"{DEVICE}via = {GOOD}\n")
    words = "needs the package aioesphomeapi and noise, which are not installed; "
    assert words + "install it with .venv/bin/python -m pip" in problem
