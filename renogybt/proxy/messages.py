"""The messages of the ESPHome native API by their numbers, which never change, while their names have.

The classes are those that aioesphomeapi carries. Only its two files with the definitions are loaded: the whole package is a
client, and takes 4 MB of memory more. They get a package name of their own, so that nothing changes for a program that
loads aioesphomeapi too; protobuf gives both the same classes.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType, ModuleType
from typing import Any

from renogybt.errors import UserError
from renogybt.proxy.plain import Packet

HELLO, HELLO_ANSWER = 1, 2
LOGIN, LOGIN_ANSWER = 3, 4
DISCONNECT, DISCONNECT_ANSWER = 5, 6
PING, PONG = 7, 8
DEVICE_INFO, DEVICE_INFO_ANSWER = 9, 10
LIST_ENTITIES = 11
BINARY_SENSOR, SENSOR, TEXT_SENSOR = 12, 16, 18
ENTITIES_DONE = 19
SUBSCRIBE_STATES = 20
BINARY_SENSOR_STATE, SENSOR_STATE, TEXT_SENSOR_STATE = 21, 25, 27
SUBSCRIBE_LOGS, LOG = 28, 29
GET_TIME, TIME = 36, 37
BUTTON, BUTTON_PRESS = 61, 62
SUBSCRIBE_ADVERTISEMENTS, UNSUBSCRIBE_ADVERTISEMENTS = 66, 87
SUBSCRIBE_CONNECTIONS_FREE = 80
SET_KEY, SET_KEY_ANSWER = 124, 125
BLUETOOTH = frozenset(
    {SUBSCRIBE_ADVERTISEMENTS, UNSUBSCRIBE_ADVERTISEMENTS, SUBSCRIBE_CONNECTIONS_FREE}
    | {68, 70, 73, 75, 76, 77, 78, 127, 145}
)
"""What a client may ask of a Bluetooth proxy."""

API_MAJOR, API_MINOR = 1, 14
"""From 1.9 on the feature flags of a proxy count; from 1.15 on a further request must be answered."""
NO_STATE_CLASS, MEASUREMENT, TOTAL_INCREASING, TOTAL = range(4)
NO_CATEGORY, CONFIGURATION, DIAGNOSTIC = range(3)
LOG_INFO = 3

PACKAGE = "aioesphomeapi"
SHELL = "renogybt_esphome"


class BadMessage(ValueError):
    """The content does not fit the message's number."""


@cache
def classes() -> Mapping[int, Any]:
    """Number -> class of the message. Raises `UserError` when the extra is not installed."""
    definitions, options = _loaded("api_pb2"), _loaded("api_options_pb2")
    found = {}
    for name, descriptor in definitions.DESCRIPTOR.message_types_by_name.items():
        number = descriptor.GetOptions().Extensions[options.id]
        if number:
            found[number] = getattr(definitions, name)
    return MappingProxyType(found)


def packet(number: int, **fields: Any) -> Packet:
    """A message ready to be framed."""
    return number, classes()[number](**fields).SerializeToString()


def opened(number: int, content: bytes) -> Any:
    """The message with that number, None when there is no such. Raises `BadMessage`."""
    kind = classes().get(number)
    if kind is None:
        return None
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise BadMessage(f"its message {number} cannot be read") from error


def _loaded(name: str) -> ModuleType:
    if SHELL not in sys.modules:
        try:
            spec = find_spec(PACKAGE)
        except ValueError:  # a program has put a module without a spec in its place
            spec = None
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            raise missing(PACKAGE)
        shell = ModuleType(SHELL)
        shell.__path__ = places
        sys.modules[SHELL] = shell
    return importlib.import_module(f"{SHELL}.{name}")


def missing(package: str) -> UserError:
    return UserError(
        f"[home_assistant_proxy] needs the package {package}, which is not installed; in the folder of this program: "
        ".venv/bin/python -m pip install '.[esphome]'"
    )
