"""Which news about a device are advertisements."""

from __future__ import annotations

from typing import Any

import pytest

from renogybt.ble import advert
from renogybt.ble.advert import Advert, Ear

ADDRESS = "5B:00:11:22:33:44"
KNOWN: dict[str, Any] = {
    "Address": ADDRESS,
    "AddressType": "random",
    "Alias": "sensor",
    "Name": "sensor",
    "Paired": False,
    "Connected": False,
    "ServicesResolved": False,
    "UUIDs": ["0000181a-0000-1000-8000-00805f9b34fb"],
    "RSSI": -60,
    "ManufacturerData": {1: b"\x01"},
}


def after(**changes: Any) -> Advert | None:
    """What is made of these changes, after one advertisement. None for a property: it is gone."""
    ear = Ear()
    assert ear.take(KNOWN) is not None
    return ear.take({key: value for key, value in (KNOWN | changes).items() if value is not None})


def test_the_first_one() -> None:
    found = Ear().take(KNOWN)
    assert found is not None
    assert (found.address, found.random, found.rssi) == (ADDRESS, True, -60)
    assert found.content.name == "sensor"
    assert found.content.uuids == ("0000181a-0000-1000-8000-00805f9b34fb",)
    assert found.content.manufacturer == {1: b"\x01"}
    assert found.content.service_data == {}
    assert found.content.tx_power is None
    assert found.content.flags == b""


@pytest.mark.parametrize(
    "changes",
    [
        {"RSSI": -61},
        {"ManufacturerData": {1: b"\x02"}},
        {"ServiceData": {"0000181a-0000-1000-8000-00805f9b34fb": b"\x02"}},
        {"TxPower": 4},
        {"RSSI": -61, "Connected": True},
        {"Name": "other", "Alias": "other"},
        {"UUIDs": []},
        {},
    ],
)
def test_news_that_are_advertisements(changes: dict[str, Any]) -> None:
    changes = {key: value for key, value in changes.items() if key != "Alias"}
    assert after(**changes) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"Connected": True},
        {"ServicesResolved": True, "Connected": True, "UUIDs": ["00001800-0000-1000-8000-00805f9b34fb"]},
        {"Paired": True},
        {"Trusted": True},
        {"RSSI": None},
        {"RSSI": None, "TxPower": None, "Connected": True},
    ],
)
def test_news_that_are_none(changes: dict[str, Any]) -> None:
    assert after(**changes) is None


def test_devices_that_were_not_heard() -> None:
    assert Ear().take({key: value for key, value in KNOWN.items() if key != "RSSI"}) is None
    assert Ear().take({"RSSI": -60}) is None


def test_the_same_content_is_the_same_object() -> None:
    ear = Ear()
    first, second, third = ear.take(KNOWN), ear.take(KNOWN | {"RSSI": -50}), ear.take(KNOWN | {"Name": "other"})
    assert first is not None
    assert second is not None
    assert third is not None
    assert second.content is first.content
    assert third.content.name == "other"


def test_the_memory_has_an_end() -> None:
    ear = Ear()
    for number in range(3 * advert.MOST):
        assert ear.take(KNOWN | {"Address": str(number)}) is not None
    assert len(ear._known) == advert.MOST
