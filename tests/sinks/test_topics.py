"""Which topic says what."""

from __future__ import annotations

import pytest

from renogybt.reading import Identity
from renogybt.settings import Device, Mqtt, Settings
from renogybt.sinks.topics import Topics, node_of
from tests.sinks.given import HOUSE, HOUSE_48, MAC, ROVER

ONE = (Device(alias="BT-TH-1234", device_id=(255,)),)
HUB = (Device(alias="House", device_id=(48, 49)),)


def topics(devices: tuple[Device, ...], **mqtt: object) -> Topics:
    return Topics.of(Settings(devices=devices, mqtt=Mqtt(**{"topic": "solar/state", **mqtt})), "ab12")  # type: ignore[arg-type]


def test_one_device_without_discovery_publishes_to_topic_itself() -> None:
    found = topics(ONE)
    assert found.state(ROVER) == "solar/state"
    assert found.availability(ROVER) == "solar/state/availability"
    assert found.link(ROVER) == "solar/state/link"
    assert found.state_of({"device_id": 1}, "BT-TH-1234", 255) == "solar/state"


@pytest.mark.parametrize(
    ("devices", "mqtt"),
    [
        (HUB, {}),
        (ONE, {"homeassistant_discovery": True}),
        (ONE * 2, {}),
    ],
)
def test_everybody_else_has_a_topic_per_device(devices: tuple[Device, ...], mqtt: dict[str, object]) -> None:
    found = topics(devices, **mqtt)
    assert found.state(HOUSE_48) == "solar/state/House_48"
    assert found.state(HOUSE) == "solar/state/House_combined"
    assert found.availability(HOUSE_48) == "solar/state/House_48/availability"
    assert found.state_of({"device_id": "combined"}, "House", 48) == "solar/state/House_combined"
    assert found.state_of({"voltage": 1}, "House", 48) == "solar/state/House_48"


def test_discovery_none_is_no_discovery() -> None:
    assert topics(ONE, homeassistant_discovery=True, discovery="none").state(ROVER) == "solar/state"


def test_the_bridge() -> None:
    found = topics(ONE)
    assert (found.bridge_availability, found.bridge_info) == ("solar/state/bridge/availability", "solar/state/bridge/info")


@pytest.mark.parametrize("alias", ["a/b", "a b", "a+b", "a#b", "a\0b", "a\tb"])
def test_names_make_one_sound_level(alias: str) -> None:
    assert topics(HUB).state(Identity(MAC, 48, alias, True)) == "solar/state/a_b_48"


def test_discovery_topics_go_both_ways() -> None:
    found = topics(HUB, discovery_prefix="ha/x")
    assert found.device_config("renogy_a") == "ha/x/device/renogy_a/config"
    assert found.entity_config("renogy_a", "sensor", "voltage") == "ha/x/sensor/renogy_a/voltage/config"
    assert found.parts_of("ha/x/device/renogy_a/config") == ("device", "renogy_a", "")
    assert found.parts_of("ha/x/sensor/renogy_a/voltage/config") == ("sensor", "renogy_a", "voltage")
    assert found.parts_of("ha/x/sensor/short/config") is None
    assert found.parts_of("solar/state/House_48") is None
    assert found.birth == "ha/x/status"


def test_identity_follows_the_address_and_never_the_alias() -> None:
    assert node_of(HOUSE_48) == "renogy_806fb00f1234_48"
    assert node_of(Identity(MAC, 48, "Other", True)) == node_of(HOUSE_48)
    assert node_of(Identity("BT TH/1", 1, "x")) == "renogy_bt_th_1"
