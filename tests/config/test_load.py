"""From a file to settings: types, defaults, and what is said about a value that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from renogybt.config import load
from renogybt.errors import ConfigError
from renogybt.settings import Data, History, HomeAssistantProxy, Influxdb, Mqtt, Outbox, RemoteLogging
from tests.config.given import DEVICE, Folder


def test_defaults(folder: Folder) -> None:
    settings = folder.load(DEVICE)
    (device,) = settings.devices
    assert (device.section, device.mac_addr, device.alias) == ("device", "80:6F:B0:0F:EA:2B", "BT-TH-B00FEA2B")
    assert (device.type, device.device_id, device.variant, device.connection) == ("RNG_CTRL", (255,), "auto", "keep")
    assert settings.data == Data()
    assert settings.mqtt == Mqtt()
    assert settings.remote_logging == RemoteLogging()
    assert settings.pvoutput == ()
    assert settings.influxdb == Influxdb()
    assert settings.outbox == Outbox()
    assert settings.history == History()
    assert settings.home_assistant_proxy == HomeAssistantProxy()
    assert settings.folder == str(folder.path)
    assert settings.path("energy_totals.json") == folder.path / "energy_totals.json"
    assert settings.path("/srv/totals") == Path("/srv/totals")
    assert not folder.warnings


@pytest.mark.parametrize("word", ["1", "yes", "true", "on", "TRUE", "Yes", "oN"])
def test_true(folder: Folder, word: str) -> None:
    assert folder.load(f"{DEVICE}[data]\nenable_polling = {word}\n").data.enable_polling is True


@pytest.mark.parametrize("word", ["0", "no", "false", "off", "False", "OFF"])
def test_false(folder: Folder, word: str) -> None:
    text = f"{DEVICE}[home_assistant_proxy]\nesphome_sensors = {word}\n"
    assert folder.load(text).home_assistant_proxy.esphome_sensors is False


@pytest.mark.parametrize(
    ("section", "line", "value"),
    [
        ("data", "temperature_unit = f", "F"),
        ("data", "temperature_unit = Fahrenheit # F = Fahrenheit", "F"),
        ("data", "temperature_unit = celsius", "C"),
        ("data", "temperature_unit = °C", "C"),
        ("data", "log_level = WARN", "warning"),
        ("data", "poll_interval = 0.5e2", 50.0),
        ("data", "fields = pv_power, cell_voltage_* ,battery_voltage,", ("pv_power", "cell_voltage_*", "battery_voltage")),
        ("data", "fields = # all of them", ()),
        ("data", "fields =\n  a,\n  b # and", ("a", "b")),
        ("mqtt", "port = 0x75B", 1883),
        ("data", "timezone = America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("data", "reset_hour = 23", 23),
        ("influxdb", "version = 1", "1"),
        ("outbox", "max_age_days = 0.5", 0.5),
        ("mqtt", "retain = yes", "true"),
        ("mqtt", "retain = Auto", "auto"),
        ("mqtt", "password = 50%off#1 # comment", "50%off#1"),
        ("mqtt", 'password = "a # b" # comment', "a # b"),
        ("MQTT", "Server: broker.local", "broker.local"),
    ],
)
def test_values(folder: Folder, section: str, line: str, value: object) -> None:
    settings = folder.load(f"{DEVICE}[{section}]\n{line}\n")
    key = line.replace(":", "=").partition("=")[0].strip().lower()
    assert getattr(getattr(settings, section.lower()), key) == value


@pytest.mark.parametrize(
    ("section", "line", "words"),
    [
        ("data", "enable_polling = maybe", "must be true or false"),
        ("data", "enable_polling = ture", "did you mean true?"),
        ("data", "poll_interval = 0.5", "a number from 1 to 86400"),
        ("data", "poll_interval = 60s", "a number from 1 to 86400"),
        ("data", "poll_interval = 1,5", "write the decimal point as ."),
        ("data", "poll_interval = nan", "a number from 1 to 86400"),
        ("data", "poll_interval = inf", "a number from 1 to 86400"),
        ("data", "poll_interval = 1e999", "a number from 1 to 86400"),
        ("data", "temperature_unit = K", "must be one of C, F"),
        ("data", "log_level = debgu", "did you mean debug?"),
        ("data", "fields = battery voltage", "letters, digits, _ and *"),
        ("data", "energy_file = a\tb", "cannot be printed"),
        ("data", "energy_file = a\0b", "cannot be printed"),
        ("data", "reset_hour = 24", "a whole number from 0 to 23"),
        ("pvoutput", "status_interval = 0", "a whole number from 1 to 60"),
        ("influxdb", "version = 3", "must be one of 1, 2"),
        ("mqtt", "port = 70000", "a whole number from 1 to 65535"),
        ("mqtt", "port = 1883.0", "a whole number from 1 to 65535"),
        ("mqtt", f"port = {'9' * 5000}", "a whole number from 1 to 65535"),
        ("mqtt", "port = 0x" + "f" * 50, "a whole number from 1 to 65535"),
        ("mqtt", "port = ١٢", "a whole number from 1 to 65535"),
        ("mqtt", "qos = 2", "a whole number from 0 to 1"),
        ("mqtt", "discovery = devise", "did you mean device?"),
        ("device.x", "type = RNG_BAT", "did you mean RNG_BATT?"),
        ("device.x", "type = battery", "one of RNG_CTRL, RNG_CTRL_HIST, RNG_BATT"),
        ("device.x", "device_id = 48;49", "one or more whole numbers from 1 to 255"),
        ("device.x", "device_id = 0", "from 1 to 255"),
        ("device.x", "device_id = 1, 256", "from 1 to 255"),
    ],
)
def test_a_value_that_does_not_fit(folder: Folder, section: str, line: str, words: str) -> None:
    more = "alias = x\n" if section == "device.x" else ""
    problem = folder.problem(f"{DEVICE}[{section}]\n{more}{line}\n")
    key, _, value = line.partition(" = ")
    number = 5 if more else 4
    shown = value if len(value) <= 100 else f"({len(value)} characters)"
    assert problem.startswith(
        f"config.ini, line {number}: [{section}] {key} = {shown}: ".replace("\t", "?").replace("\0", "?")
    )
    assert words in problem


def test_lower_case_types(folder: Folder) -> None:
    assert folder.load(DEVICE + "type = rng_batt\n").devices[0].type == "RNG_BATT"


def test_an_empty_number_means_the_default(folder: Folder) -> None:
    settings = folder.load(DEVICE + "device_id =\n[mqtt]\nport =\nserver =\n")
    assert settings.mqtt.port == 1883
    assert settings.mqtt.server == ""
    assert settings.devices[0].device_id == (255,)
    assert [warning.partition(": [")[2] for warning in folder.warnings] == [
        "device] device_id = (empty): the usual value 255 is taken instead",
        "mqtt] port = (empty): the usual value 1883 is taken instead",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[data]\npoll_intervall = 5", "[data] poll_intervall = ***: there is no such option; did you mean poll_interval?"),
        ("[mqtt]\npasswort_file = x", "did you mean password_file?"),
        ("[mqtt]\nfields = a", "it belongs in [data]"),
        ("[mqtt]\nzzz = 1", "Known are enabled, server, port"),
        ("[home_assistant_proxy]\nscan_mod = active", "did you mean scan_mode?"),
        ("[mqt]\nport = 1", "[mqt]: there is no such section; did you mean [mqtt]?"),
        ("[Device2]\nalias = x", "further devices are written [device.NAME]"),
        ("[device:roof]\nalias = x", "further devices are written [device.NAME]"),
        ("[device.]\nalias = x", "further devices are written [device.NAME]"),
        ("[pvoutput2]\nenabled = false", "further systems at PVOutput are written [pvoutput.NAME], like [pvoutput.roof]"),
        ("[pvoutput.]\nenabled = false", "further systems at PVOutput are written [pvoutput.NAME]"),
        ("[pvoutput.x]\napi_kye = geheim", "[pvoutput.x] api_kye = ***: there is no such option; did you mean api_key?"),
        ("[mqtt.x]\nport = 1", "[mqtt.x]: there is no such section; did you mean [mqtt]?"),
    ],
)
def test_unknown_names(folder: Folder, text: str, words: str) -> None:
    assert words in folder.problem(f"{DEVICE}{text}\n")


def test_unknown_names_like_nothing_known(folder: Folder) -> None:
    folder.load(DEVICE + "[home_assistant_proxy]\nqqq = geheim\n[my notes]\nx = geheim\n")
    assert len(folder.warnings) == 2
    assert "[home_assistant_proxy] qqq = ***: there is no such option; ignored" in folder.warnings[0]
    assert "[my notes]: there is no such section; ignored" in folder.warnings[1]


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "solar.ini", {})
    (problem,) = caught.value.problems
    assert str(tmp_path / "solar.ini") in problem
    assert "Copy the config.ini" in problem


@pytest.mark.parametrize("name", [".", "a\0b", "x" * 5000])
def test_no_readable_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(f"{tmp_path}/{name}", {})


def test_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.ini").write_text(DEVICE)
    monkeypatch.chdir(tmp_path)
    assert load("config.ini").folder == str(tmp_path)
