"""What the outlets need once they are switched on."""

from __future__ import annotations

import pytest

from tests.config.given import DEVICE, Folder

MQTT = DEVICE + "[mqtt]\nenabled = true\n"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("server =", "[mqtt] server = (empty): is needed when MQTT is enabled"),
        ("topic =", "[mqtt] topic = (empty): is needed when MQTT is enabled"),
        ("server = mqtt://broker", "without mqtt:// before it"),
        ("server = broker:1883", "the number after : goes to port"),
        ("server = my broker", "must be a host name or an address"),
        ("server = " + "a" * 64 + ".local", "must be a host name or an address"),
        ("server = a..b", "must be a host name or an address"),
        ("topic = solar/+/x", "without + and #"),
        ("topic = solar/#", "without + and #"),
        ("topic = $SYS/x", "must not begin with $"),
        ("homeassistant_discovery = true\ndiscovery_prefix =", "is needed when homeassistant_discovery is true"),
        ("homeassistant_discovery = true\ndiscovery_prefix = a/#", "[mqtt] discovery_prefix = a/#: must be without + and #"),
        ("homeassistant_discovery = true\nbirth_topic = +/status", "[mqtt] birth_topic = +/status: must be without"),
        ("replay = true\nreplay_topic = solar/+", "[mqtt] replay_topic = solar/+: must be without + and #"),
        ("replay = true\nreplay_topic = $SYS", "must not begin with $"),
        ("replay = true\nreplay_topic = solar/state", "must differ from topic"),
        ("tls = true\ntls_ca = no-such.pem", "no-such.pem cannot be read (No such file or directory)"),
        ("tls = true\ntls_ca = .", "cannot be read (Is a directory)"),
        ("tls = true\ntls_key = config.ini", "[mqtt] tls_cert: is needed as well, because tls_key is given"),
        ("tls = true\ntls_cert = config.ini", "[mqtt] tls_key: is needed as well, because tls_cert is given"),
    ],
)
def test_mqtt(folder: Folder, lines: str, words: str) -> None:
    assert words in folder.problem(f"{MQTT}{lines}\n")
    folder.load(f"{MQTT}{lines}\n".replace("enabled = true", "enabled = false"))


@pytest.mark.parametrize(
    "server", ["192.168.1.10", "broker.local.", "fe80::1%eth0", "::1", "core-mosquitto", "bröker.example"]
)
def test_hosts(folder: Folder, server: str) -> None:
    assert folder.load(f"{MQTT}server = {server}\n").mqtt.server == server


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("topic = /solar/state", "a / at the start or end"),
        ("topic = solar/", "a / at the start or end"),
        ("replay = true\nreplay_topic = late/", "a / at the start or end"),
        ("password = x", "a password without a user"),
        ("tls_ca = ca.pem", "is not used, because tls is false"),
    ],
)
def test_doubtful(folder: Folder, lines: str, words: str) -> None:
    folder.load(f"{MQTT}{lines}\n")
    (warning,) = folder.warnings
    assert words in warning


@pytest.mark.parametrize("lines", ["replay_topic = solar/+", "replay = true", "replay = true\nreplay_topic = late"])
def test_replay(folder: Folder, lines: str) -> None:
    assert folder.load(f"{MQTT}{lines}\n").mqtt.replay == ("true" in lines)
    assert not folder.warnings


def test_misspelt_fields(folder: Folder) -> None:
    names = "battery_voltage, cell_voltage_*, cell_voltage_0, load_curent, combined_power, battery_48_cell_voltage_min, rssi"
    folder.load(f"{DEVICE}[data]\nfields = {names}\n")
    assert not folder.warnings
    settings = folder.load(DEVICE + "[data]\nfields = batery_voltage, pv_power\n")
    assert settings.data.fields == ("batery_voltage", "pv_power")
    (warning,) = folder.warnings
    assert "no device has a value called batery_voltage; did you mean battery_voltage?" in warning
    folder.load(DEVICE + "[data]\nfields = cel_voltage_*, *_voltage, combined_*\n")
    (warning,) = folder.warnings
    assert "no device has a value called cel_voltage_*; did you mean cell_voltage_" in warning


def test_tls_files_beside_the_configuration(folder: Folder) -> None:
    (folder.path / "ca.pem").write_text("x")
    assert folder.load(MQTT + "tls = true\ntls_ca = ca.pem\n").mqtt.tls_ca == "ca.pem"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("mdns_ip = here", "must be an IP address"),
        ("device_name =", "is needed when the proxy is enabled"),
        ("renogy_poll_mode = scheduled\nrenogy_read_interval = 0", "must be more than 0"),
    ],
)
def test_proxy(folder: Folder, lines: str, words: str) -> None:
    assert words in folder.problem(f"{DEVICE}[home_assistant_proxy]\nenabled = true\n{lines}\n")


def test_proxy_over_http_is_no_more(folder: Folder) -> None:
    folder.load(DEVICE + "[home_assistant_proxy]\nenabled = true\nuse_native_api = false\n")
    assert "the native API is used all the same" in folder.warnings[0]
