"""The table of messages is the one of the package that Home Assistant uses, and loading it harms nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from aioesphomeapi.model import BluetoothGATTServices

from renogybt.ble.guest import Characteristic, Descriptor, Service
from renogybt.errors import UserError
from renogybt.proxy import messages
from renogybt.proxy.bluetooth_messages import SERVICES, SERVICES_DONE, service_packets

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
    messages.SUBSCRIBE_LOGS: "SubscribeLogsRequest",
    messages.LOG: "SubscribeLogsResponse",
    messages.BUTTON: "ListEntitiesButtonResponse",
    messages.BUTTON_PRESS: "ButtonCommandRequest",
}


def run(script: str, *options: str) -> str:
    done = subprocess.run(
        [sys.executable, *options, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
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


def test_a_large_table_of_attributes_in_several_messages() -> None:
    """60 characteristics, numbers of both lengths; the largest message is far from what a frame can hold."""

    def uuid(number: int) -> str:
        return f"{number:08x}-0000-1000-8000-00805f9b34fb" if number % 2 else f"{number:08x}-0451-4000-b000-0123456789ab"

    def characteristic(handle: int) -> Characteristic:
        return Characteristic(uuid(handle), handle, ("read", "notify"), (Descriptor(uuid(0x2902 - 1), handle + 1),))

    services = [
        Service(uuid(head), head, tuple(characteristic(head + 2 + 3 * place) for place in range(size)))
        for head, size in ((0x10, 58), (0x201, 2), (0x300, 0))
    ]
    packets = list(service_packets(0xA1B2C3D4E5F6, services))
    assert [number for number, _ in packets] == [SERVICES] * 3 + [SERVICES_DONE]
    assert max(len(content) for _, content in packets) < 1 << 13
    found = []
    for number, content in packets[:-1]:
        message = MESSAGE_TYPE_TO_PROTO[number].FromString(content)
        assert message.address == 0xA1B2C3D4E5F6
        found += BluetoothGATTServices.from_pb(message).services
    assert [
        (one.uuid, one.handle, [(each.uuid, each.handle, each.descriptors[0].handle) for each in one.characteristics])
        for one in found
    ] == [
        (one.uuid, one.handle, [(each.uuid, each.handle, each.handle + 1) for each in one.characteristics])
        for one in services
    ]
