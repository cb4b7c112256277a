"""What options must be together: needed combinations, and devices that would stand in each other's way."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from itertools import combinations
from urllib.parse import urlsplit

from renogybt.config.report import Entry, Report, hint
from renogybt.devices import FAMILIES
from renogybt.devices.recognise import FORCED
from renogybt.settings import Device, Settings

ANYBODY = 255
"""The bus address to which every device answers."""


class Checks:
    """Looks at one configuration. An option already found faulty is not judged again."""

    def __init__(self, settings: Settings, entries: Mapping[tuple[str, str], Entry], report: Report) -> None:
        self._settings = settings
        self._entries = entries
        self._report = report

    def run(self) -> None:
        self._devices()
        self._fields()
        self._mqtt()
        self._remote_logging()
        self._pvoutput()
        self._proxy()

    def _fault(self, section: str, key: str, text: str) -> None:
        if (section, key) not in self._report.faulty:
            self._report.problem(section, text, self._entry(section, key))

    def _warn(self, section: str, key: str, text: str) -> None:
        if (section, key) not in self._report.faulty:
            self._report.warn(section, text, self._entry(section, key))

    def _entry(self, section: str, key: str) -> Entry:
        return self._entries.get((section, key)) or Entry(key)

    def _required(self, section: str, key: str, value: str, why: str) -> bool:
        if not value:
            self._fault(section, key, f"is needed when {why}")
        return bool(value)

    # devices

    def _devices(self) -> None:
        proxy = self._settings.home_assistant_proxy
        if not self._settings.devices and not (proxy.enabled and not proxy.with_renogy_client):
            self._report.problem("device", "this section is missing: it must say which device to read (mac_addr, type)")
        for device in self._settings.devices:
            self._device(device)
        sound = [device for device in self._settings.devices if self._sound(device)]
        for one, other in combinations(sound, 2):
            if module(one) == module(other):
                self._same_module(one, other)
            self._same_names(one, other)

    def _sound(self, device: Device) -> bool:
        return not any((device.section, key) in self._report.faulty for key in ("mac_addr", "alias", "type", "device_id"))

    def _device(self, device: Device) -> None:
        ids = device.device_id
        if not ids:
            self._fault(device.section, "device_id", "must name at least one bus address; 255 reaches whoever is there")
        if twice := sorted({unit for unit in ids if ids.count(unit) > 1}):
            self._fault(device.section, "device_id", f"{', '.join(map(str, twice))} stands in the list more than once")
        elif ANYBODY in ids and len(ids) > 1:
            text = "255 reaches whoever is there, so it cannot stand in a list with others; name each address"
            self._fault(device.section, "device_id", text)
        if device.type == "RNG_SHNT" and len(ids) > 1:
            self._fault(device.section, "device_id", "a Smart Shunt is one device; delete this line")
        fitting = FORCED.get(device.type, {})
        if device.variant not in ("auto", *fitting):
            choice = f"one of auto, {', '.join(fitting)}" if fitting else "auto"
            self._fault(device.section, "variant", f"must be {choice} for type {device.type}")
        if re.search(r"[+#/]", device.alias):
            self._fault(device.section, "alias", "must be without + # and /, which have a meaning of their own in topics")

    def _same_module(self, one: Device, other: Device) -> None:
        same = [unit for unit in other.device_id if unit in one.device_id]
        if one.type == other.type and same:
            text = f"{other.type} {', '.join(map(str, same))} of this module is already read by [{one.section}]"
            self._fault(other.section, "device_id", f"{text}; delete it from one of the two")
        elif one.device_id != other.device_id and ANYBODY in one.device_id + other.device_id:
            broad = one if ANYBODY in one.device_id else other
            text = "255 reaches whoever is there; where several devices share a module, name the address of each"
            self._warn(broad.section, "device_id", text)
        elif one.type == other.type == "RNG_BATT" and len(one.device_id) > 1 < len(other.device_id):
            text = f"the batteries of one module make one bank: put these into device_id of [{one.section}]"
            self._fault(other.section, "device_id", text)
        for key in ("adapter", "connection"):
            if getattr(one, key) != getattr(other, key):
                text = f"must be as in [{one.section}], which shares the connection to this module"
                self._fault(other.section, key, text)

    def _same_names(self, one: Device, other: Device) -> None:
        if (other.section, "device_id") in self._report.faulty:
            return
        if same := [label for label in labels(other) if label in set(labels(one))]:
            text = f"{same[0]} would be the name of this device and of one in [{one.section}]; give it another alias"
            self._fault(other.section, "alias", text)

    # where the readings go

    def _fields(self) -> None:
        """Only what looks like a slip of the pen: some names (battery_48_..., of the link) stand in no table."""
        names = self._settings.data.fields
        known = set().union(*(family.keys() for family in FAMILIES.values())) if names else set()
        for name in names:
            numbered = re.match(r"combined_|battery_[0-9]", name)
            if "*" not in name and name not in known and not numbered and (meant := hint(name, known)):
                self._warn("data", "fields", f"no device has a value called {name}{meant}")

    def _mqtt(self) -> None:
        mqtt = self._settings.mqtt
        if not mqtt.enabled:
            return
        why = "MQTT is enabled"
        if self._required("mqtt", "server", mqtt.server, why) and (fault := host_fault(mqtt.server)):
            self._fault("mqtt", "server", fault)
        self._required("mqtt", "topic", mqtt.topic, why)
        names = ["topic"]
        if mqtt.homeassistant_discovery and mqtt.discovery != "none":
            self._required("mqtt", "discovery_prefix", mqtt.discovery_prefix, "homeassistant_discovery is true")
            names += ["discovery_prefix", "birth_topic"]
        for name in names:
            self._topic(name, getattr(mqtt, name))
        if mqtt.password and not mqtt.user:
            self._warn("mqtt", "password", "a password without a user is not sent to the broker")
        self._tls()

    def _topic(self, key: str, topic: str) -> None:
        if re.search(r"[+#]", topic):
            self._fault("mqtt", key, "must be without + and #, which mean many topics at once")
        elif topic.startswith("$"):
            self._fault("mqtt", key, "must not begin with $: such topics belong to the broker")
        elif topic.startswith("/") or topic.endswith("/"):
            self._warn("mqtt", key, "a / at the start or end makes a topic level without a name")

    def _tls(self) -> None:
        mqtt = self._settings.mqtt
        for key, other in (("tls_cert", "tls_key"), ("tls_key", "tls_cert")):
            if getattr(mqtt, key) and not getattr(mqtt, other):
                self._fault("mqtt", other, f"is needed as well, because {key} is given")
        for key in ("tls_ca", "tls_cert", "tls_key"):
            name = getattr(mqtt, key)
            if name and not mqtt.tls:
                self._warn("mqtt", key, "is not used, because tls is false: the connection is not encrypted")
            elif name and (reason := self._unreadable(name)):
                self._fault("mqtt", key, f"the file {self._settings.path(name)} cannot be read ({reason})")

    def _unreadable(self, name: str) -> str:
        try:
            with open(self._settings.path(name), "rb") as file:
                file.read(1)
        except (OSError, ValueError) as error:
            return getattr(error, "strerror", None) or "not a file name"
        return ""

    def _remote_logging(self) -> None:
        remote = self._settings.remote_logging
        if (
            remote.enabled
            and self._required("remote_logging", "url", remote.url, "remote logging is enabled")
            and not _is_web_address(remote.url)
        ):
            self._fault("remote_logging", "url", "must be a web address like https://example.com/post.php")

    def _pvoutput(self) -> None:
        pvoutput = self._settings.pvoutput
        if not pvoutput.enabled:
            return
        self._required("pvoutput", "api_key", pvoutput.api_key, "PVOutput is enabled")
        if self._required("pvoutput", "system_id", pvoutput.system_id, "PVOutput is enabled") and not re.fullmatch(
            r"[0-9]+", pvoutput.system_id
        ):
            self._fault("pvoutput", "system_id", "must be the number of your system, digits only")

    def _proxy(self) -> None:
        proxy, section = self._settings.home_assistant_proxy, "home_assistant_proxy"
        if not proxy.enabled:
            return
        self._required(section, "device_name", proxy.device_name, "the proxy is enabled")
        if proxy.mdns_ip and not _is_ip(proxy.mdns_ip):
            self._fault(section, "mdns_ip", "must be an IP address like 192.168.1.20, or empty")
        if proxy.renogy_poll_mode == "scheduled" and not proxy.renogy_read_interval:
            self._fault(section, "renogy_read_interval", "must be more than 0 when renogy_poll_mode is scheduled")
        if not proxy.use_native_api:
            self._warn(section, "use_native_api", "the native API is used all the same: it is the only way there is")


def module(device: Device) -> str:
    """What two sections share that read through the same Bluetooth module."""
    return device.mac_addr or device.alias


def labels(device: Device) -> Iterator[str]:
    """The names of its topics, below the one in [mqtt]."""
    for unit in device.device_id:
        yield f"{device.alias}_{unit}"
    if device.type == "RNG_BATT" and len(device.device_id) > 1:
        yield f"{device.alias}_combined"


def host_fault(host: str) -> str:
    """Why `host` is no host name or address; "" when it is one."""
    if "://" in host or "/" in host:
        return "must be only the name or address of the broker, like 192.168.1.10, without mqtt:// before it"
    if re.fullmatch(r"[^:]*:[0-9]+", host):
        return "must be only the name or address of the broker; the number after : goes to port"
    if _is_ip(host):
        return ""
    parts = host.removesuffix(".").split(".")
    if re.search(r"[\s:@,;]", host) or not all(0 < len(part) < 64 for part in parts):
        return "must be a host name or an address, like 192.168.1.10 or broker.local"
    return ""


def _is_ip(text: str) -> bool:
    for kind in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(kind, text.partition("%")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return sound and not re.search(r"\s", url)
