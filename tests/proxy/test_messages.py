"""The table of messages is the one of the package that Home Assistant uses, and loading it harms nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO

from renogybt.errors import UserError
from renogybt.proxy import messages

ROOT = Path(__file__).parents[2]
NAMES = {
    messages.HELLO: "HelloRequest",
    messages.LOGIN: "AuthenticationRequest",
    messages.DISCONNECT: "DisconnectRequest",
    messages.DISCONNECT_ANSWER: "DisconnectResponse",
    messages.PING: "PingRequest",
    messages.PONG: "PingResponse",
    messages.DEVICE_INFO: "DeviceInfoRequest",
    messages.LIST_ENTITIES: "ListEntitiesRequest",
    messages.ENTITIES_DONE: "ListEntitiesDoneResponse",
    messages.SENSOR: "ListEntitiesSensorResponse",
    messages.TEXT_SENSOR: "ListEntitiesTextSensorResponse",
    messages.BINARY_SENSOR: "ListEntitiesBinarySensorResponse",
    messages.SENSOR_STATE: "SensorStateResponse",
    messages.TEXT_SENSOR_STATE: "TextSensorStateResponse",
    messages.BINARY_SENSOR_STATE: "BinarySensorStateResponse",
    messages.SUBSCRIBE_STATES: "SubscribeStatesRequest",
    messages.GET_TIME: "GetTimeRequest",
    messages.TIME: "GetTimeResponse",
    messages.SET_KEY: "NoiseEncryptionSetKeyRequest",
}


def run(script: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_numbers_are_those_of_the_package() -> None:
    assert {number: kind.DESCRIPTOR.name for number, kind in messages.classes().items()} == {
        number: kind.DESCRIPTOR.name for number, kind in MESSAGE_TYPE_TO_PROTO.items()
    }
    assert {number: messages.classes()[number].DESCRIPTOR.name for number in NAMES} == NAMES
    asked = {messages.classes()[number].DESCRIPTOR.name for number in messages.BLUETOOTH}
    assert all("Bluetooth" in name and name.endswith("Request") for name in asked)
    every = {kind.DESCRIPTOR.name for kind in MESSAGE_TYPE_TO_PROTO.values()}
    assert asked == {name for name in every if "Bluetooth" in name and name.endswith("Request")}


def test_the_client_is_not_loaded() -> None:
    script = (
        "import sys; from renogybt.proxy import messages; messages.classes();"
        "print([name for name in sys.modules if name.startswith('aioesphomeapi')])"
    )
    assert run(script).strip() == "[]"


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_the_package_can_be_loaded_as_well(first: str) -> None:
    ours = "from renogybt.proxy import messages; own = messages.classes()[1]\n"
    theirs = (
        "import aioesphomeapi.api_pb2; from aioesphomeapi import APIClient; other = aioesphomeapi.api_pb2.HelloRequest\n"
    )
    check = "assert own.FromString(other(client_info='x').SerializeToString()).client_info == 'x'; print('well')"
    assert run((ours + theirs if first == "ours" else theirs + ours) + check).strip() == "well"


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(messages.BadMessage, match="message 1 "):
        messages.opened(messages.HELLO, b"\xff\xff\xff")
    assert messages.opened(60000, b"\xff") is None


def test_a_missing_package_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "PACKAGE", "no_such_package_at_all")
    monkeypatch.delitem(sys.modules, messages.SHELL, raising=False)
    messages.classes.cache_clear()
    try:
        with pytest.raises(UserError, match=r"no_such_package_at_all.*pip install '\.\[esphome\]'"):
            messages.classes()
    finally:
        monkeypatch.undo()
        messages.classes.cache_clear()
