"""Who the node is: name, address, makers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from renogybt.proxy import messages
from renogybt.proxy.plain import Packet
from renogybt.settings import HomeAssistantProxy, Settings
from renogybt.sinks.mqtt import machine
from renogybt.version import __version__

ESPHOME_VERSION = "2026.10.0"
"""The firmware whose manners the node has. Home Assistant calls older ones outdated."""
PROJECT = "renogybt.bridge"
"""Home Assistant makes maker and model of the two sides of the dot; without one it shows neither device nor entities."""
LONGEST_NAME = 31
LONGEST_FRIENDLY = 120
"""Bytes; the announcement has room for 240."""
TAIL = 6


@dataclass(frozen=True, slots=True)
class Nameplate:
    """`name` is for the network, `friendly_name` for people. `mac` (upper case, colons) is the identity for ever."""

    name: str
    friendly_name: str
    mac: str

    @property
    def digits(self) -> str:
        """The address as twelve lower-case digits."""
        return self.mac.replace(":", "").lower()

    @property
    def server_info(self) -> str:
        return f"{self.name} (renogybt {__version__})"

    def device_info(
        self, encrypted: bool, devices: Mapping[int, str], bluetooth_flags: int = 0, bluetooth_mac: str = ""
    ) -> Packet:
        """What a client is told about the node; `devices` are ids and names of its sub-devices."""
        kind = messages.classes()[messages.DEVICE_INFO_ANSWER]
        answer = kind(
            name=self.name,
            friendly_name=self.friendly_name,
            mac_address=self.mac,
            esphome_version=ESPHOME_VERSION,
            project_name=PROJECT,
            project_version=__version__,
            manufacturer="renogybt",
            model="Renogy bridge",
            api_encryption_supported=encrypted,
            bluetooth_proxy_feature_flags=bluetooth_flags,
            bluetooth_mac_address=bluetooth_mac,
        )
        for number, name in devices.items():
            answer.devices.add(device_id=number, name=name)
        return messages.DEVICE_INFO_ANSWER, answer.SerializeToString()

    def txt(self, encryption: str) -> dict[str, str]:
        """What mDNS tells besides name and address; `encryption` names the protocol, "" for none."""
        found = {
            "mac": self.digits,
            "friendly_name": self.friendly_name,
            "version": ESPHOME_VERSION,
            "platform": "host",
            "board": "host",
            "network": "ethernet",
            "project_name": PROJECT,
            "project_version": __version__,
        }
        return found | ({"api_encryption": encryption} if encryption else {})


def nameplate(settings: Settings, remembered: object = None) -> Nameplate:
    """The node of this configuration; `remembered` is the address it had before, if any."""
    proxy = settings.home_assistant_proxy
    mac = remembered if isinstance(remembered, str) and is_mac(remembered) else made_up(settings)
    unnamed = HomeAssistantProxy().device_name
    name = re.sub(r"[^a-z0-9]+", "-", _latin(proxy.device_name).lower()).strip("-")
    if name in ("", unnamed):  # two bridges nobody named must not be called the same
        name = f"{unnamed}-{mac.replace(':', '')[-TAIL:].lower()}"
    friendly = "".join(char for char in proxy.device_name if char.isprintable())
    friendly = friendly.encode()[:LONGEST_FRIENDLY].decode(errors="ignore")
    if re.fullmatch(r"[a-z0-9-]+", friendly):
        friendly = friendly.replace("-", " ").capitalize()
    return Nameplate(name[:LONGEST_NAME].strip("-"), friendly, mac)


def _latin(name: str) -> str:
    """With the nearest plain letters, as far as there are any."""
    if name.isascii():
        return name
    import unicodedata

    return unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode()


def made_up(settings: Settings) -> str:
    """An address of the locally administered kind, the same for the same machine and configuration."""
    place = "\n".join((machine(), str(Path(settings.folder).resolve()), settings.file))
    octets = bytearray(hashlib.sha256(f"esphome\n{place}".encode()).digest()[:6])
    octets[0] = octets[0] & 0xFC | 0x02
    return ":".join(f"{octet:02X}" for octet in octets)


def is_mac(text: str) -> bool:
    return re.fullmatch(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}", text) is not None
