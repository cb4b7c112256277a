"""A way to a device that leads through an ESPHome Bluetooth proxy: `esphome://host:6053?key=...`."""

from __future__ import annotations

import re
from binascii import a2b_base64

from msgspec import Struct

PORT = 6053
KEY_SIZE = 32
EXAMPLE = "esphome://192.168.1.20:6053?key=... (the key that stands under api: encryption: in the proxy's YAML)"


class Via(Struct, frozen=True):
    """Which proxy, and what it wants to hear before it lets us in. Its text form shows no secret."""

    host: str
    port: int = PORT
    key: str = ""
    password: str = ""

    @property
    def place(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __repr__(self) -> str:
        return f"Via({self.place})"


def parsed(text: str) -> Via:
    """Raises `ValueError`; the text says what is wrong, and holds nothing of the key."""
    found = re.fullmatch(r"(?i:esphome)://(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+)(?::([0-9]{1,6}))?/?(?:\?(.*))?", text.strip())
    if not found and re.match(r"(?i:esphome)://[0-9a-f]*:[0-9a-f]*:", text.strip(), re.IGNORECASE):
        raise ValueError("names an IPv6 address, which needs brackets: esphome://[fd00::20]:6053?key=...")
    if not found:
        raise ValueError(f"must look like {EXAMPLE}")
    host, port, query = found.groups()
    if port and not 1 <= int(port) <= 65535:
        raise ValueError("names a port that does not exist; ESPHome's is 6053")
    given = _options(query or "")
    if unknown := set(given) - {"key", "password"}:
        raise ValueError(f"has {len(unknown)} option(s) that are not known behind the ?; there are key and password")
    key = given.get("key", "").strip(" \"'")  # as copied from the YAML
    if "key" in given and not _is_key(key):
        raise ValueError("holds a key that is none: it must be 32 bytes in base64 (44 characters), as in the proxy's YAML")
    return Via(host.strip("[]").lower().replace("%25", "%"), int(port or PORT), key, given.get("password", ""))


def _options(query: str) -> dict[str, str]:
    """A + is a + here: base64 needs it as it stands."""
    found: dict[str, str] = {}
    for item in filter(None, query.split("&")):
        name, _, value = item.partition("=")
        if name in found:
            raise ValueError("has the same option twice behind the ?")
        found[name] = _plain(value)
    return found


def _plain(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _is_key(text: str) -> bool:
    try:
        found = a2b_base64(text, strict_mode=True)
    except ValueError:
        return False
    return len(found) == KEY_SIZE and len(set(found)) > 1
