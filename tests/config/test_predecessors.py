"""Files of cyrils/renogy-bt and jorik41/renogy-bt work as they are. Written anew in their manner."""

from __future__ import annotations

import pytest

from renogybt.config.options import options
from renogybt.config.predecessors import IGNORED
from tests.config.given import DEVICE, Folder

CYRILS = """\

[device]
adapter = hci0
mac_addr = {mac} # <-- must update
alias = {alias} # <-- must update
type = RNG_CTRL
# RNG_CTRL => a controller
device_id = 255 # or another in hub mode

[data]
enable_polling = false # once or for ever
poll_interval = 60 # seconds
temperature_unit = F # F = Fahrenheit, C = Celsius
fields = # names, separated by commas

[remote_logging]
enabled = false
url = https://example.com/post.php
auth_header = auth_header # sent as "Bearer <...>"

[mqtt]
enabled = true
server = 192.168.0.16
port = 1883
topic = solar/state
user = me
password = 100%sure#1

[pvoutput]
# one per minute
enabled = false
api_key =
system_id =
"""

JORIK41 = """\
[device]
adapter = hci0
mac_addr = 6c-b2-fd-86-82-4d
alias = BT-TH-FD86824D
type = RNG_BATT
device_id = 48,49,50,51 # hub mode

[data]
enable_polling = true
poll_interval = 0 # not used with the cycles below
poll_after_proxy_cycle = true
poll_cycle_dwell_seconds = 5
poll_cycle_timeout_seconds = 120
renogy_read_timeout_seconds = 45 # per device
temperature_unit = F
fields =

[mqtt]
enabled = true
server = 192.168.1.89
port = 1883
topic = solar/state
user =
password =
homeassistant_discovery = true

[home_assistant_proxy]
enabled = true
host = homeassistant.local
port = 8123
ssl = false
endpoint = /api/bluetooth/adv
fallback_endpoints = /one,/two
access_token = geheim
adapter = hci0
source = my-proxy
with_renogy_client = true
use_native_api = true
native_api_port = 6053
device_name = renogy.proxy
mdns_ip =
esphome_sensors = true
renogy_poll_mode = scheduled
renogy_read_interval = 60
scan_mode = passive
scan_active_seconds = 10
scan_idle_seconds = 5
pause_during_renogy = true
airtime_settle_seconds = 2
airtime_window_seconds = 10
health_check_interval = 60 # seconds
health_check_threshold = 180
health_reset_adapter = true
health_reset_limit = 3
"""


def test_cyrils(folder: Folder) -> None:
    settings = folder.load(CYRILS.format(mac="80:6f:b0:0f:ea:2b", alias="BT-TH-B00FEA2B"))
    (device,) = settings.devices
    assert (device.mac_addr, device.alias, device.adapter) == ("80:6F:B0:0F:EA:2B", "BT-TH-B00FEA2B", "hci0")
    assert device.device_id == (255,)
    assert (settings.data.temperature_unit, settings.data.fields) == ("F", ())
    assert settings.remote_logging.auth_header == "auth_header"
    assert (settings.mqtt.user, settings.mqtt.password) == ("me", "100%sure#1")
    assert not folder.warnings
    assert not folder.remarks


def test_jorik41(folder: Folder) -> None:
    settings = folder.load(JORIK41)
    (device,) = settings.devices
    assert (device.mac_addr, device.device_id, device.type) == ("6C:B2:FD:86:82:4D", (48, 49, 50, 51), "RNG_BATT")
    assert settings.data.poll_interval == settings.period(device) == 60
    proxy = settings.home_assistant_proxy
    assert (proxy.device_name, proxy.scan_mode, proxy.native_api_port) == ("renogy.proxy", "passive", 6053)
    (warning,) = folder.warnings
    assert "line 10: [data] poll_interval = 0: the usual value 60 is taken instead" in warning
    assert len(folder.remarks) == len(IGNORED)
    assert not any("geheim" in text for text in folder.remarks)


def test_what_is_ignored_is_no_option() -> None:
    assert not [place for place in IGNORED if place[1] in options(place[0])]


@pytest.mark.parametrize("section", ["remote_logging", "pvoutput", "mqtt", "data"])
def test_sections_may_be_missing(folder: Folder, section: str) -> None:
    text = CYRILS.format(mac="80:6f:b0:0f:ea:2b", alias="")
    start = text.index(f"[{section}]")
    end = text.find("\n[", start)
    folder.load(text[:start] + (text[end:] if end > 0 else ""))


def test_untouched_placeholders(folder: Folder) -> None:
    problem = folder.problem(CYRILS.format(mac="80:6f:b0:0f:xx:xx", alias="BT-TH-B00FXXXX"))
    assert problem.startswith("config.ini, line 4: [device] mac_addr = 80:6f:b0:0f:xx:xx: is only a placeholder: put in")


def test_one_of_two_placeholders_was_enough_for_the_predecessor(folder: Folder) -> None:
    by_name = folder.load(CYRILS.format(mac="80:6f:b0:0f:xx:xx", alias="BT-TH-B00FEA2B")).devices[0]
    assert (by_name.mac_addr, by_name.alias) == ("", "BT-TH-B00FEA2B")
    assert "found by its alias" in folder.warnings[0]
    by_address = folder.load(CYRILS.format(mac="80:6f:b0:0f:ea:2b", alias="BT-TH-B00FXXXX")).devices[0]
    assert (by_address.mac_addr, by_address.alias) == ("80:6F:B0:0F:EA:2B", "BT-TH-B00FEA2B")
    assert "called BT-TH-B00FEA2B instead" in folder.warnings[0]


def test_only_a_proxy(folder: Folder) -> None:
    proxy = "[home_assistant_proxy]\nenabled = true\nwith_renogy_client = false\n"
    assert folder.load(proxy).devices == ()
    assert "[device]: this section is missing" in folder.problem(proxy.replace("false", "true"))
    assert "[device]: this section is missing" in folder.problem(proxy.replace("enabled = true", "enabled = false"))
    assert "[device]: this section is missing" in folder.problem("")


def test_doubled_percent_signs_are_pointed_out(folder: Folder) -> None:
    assert folder.load(DEVICE + "[mqtt]\nuser = me\npassword = 100%%\n").mqtt.password == "100%%"
    (warning,) = folder.warnings
    assert "line 5: [mqtt] password = ***: %% is two percent signs here" in warning


def test_bluetooth_options_are_understood_in_the_sections_people_take_for_theirs(folder: Folder) -> None:
    settings = folder.load(f"{DEVICE}discovery_timeout = 7\n[data]\nbattery_retry_seconds = 9\n")
    assert settings.bluetooth.discovery_timeout == 7
    assert settings.bluetooth.battery_retry_seconds == 9
    assert settings.bluetooth.discovery_retries == 3
    assert folder.warnings == []


def test_what_stands_in_bluetooth_wins_and_a_wrong_value_names_its_line(folder: Folder) -> None:
    settings = folder.load(f"[bluetooth]\nmax_connections = 2\n{DEVICE}max_connections = 4\n")
    assert settings.bluetooth.max_connections == 2
    (warning,) = folder.warnings
    assert "line 5" in warning
    assert "[bluetooth]" in warning
    assert "line 3" in folder.problem(f"{DEVICE}discovery_retries = many\n")
