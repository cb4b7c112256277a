"""Which entities there are, and when a state counts as changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from renogybt import devices
from renogybt.proxy.catalogue import Catalogue, Change
from renogybt.reading import Identity, LinkFigures, Reading, Standing
from renogybt.sinks.link import LINK_ROWS
from tests.proxy.given import FIGURES

MAC = "80:6F:B0:0F:12:34"
ROVER = Identity("84:28:D7:FF:00:01", 255, "roof")
HOUSE_48, HOUSE_49 = (Identity(MAC, unit, "House", shared=True) for unit in (48, 49))
BANK = Identity(MAC, None, "House", shared=True)
ALL = [ROVER, HOUSE_48, HOUSE_49, BANK]


def controller(**values: Any) -> Reading:
    return Reading(ROVER, "controller", devices.family("controller").complete(values), 0, 0)


def battery(identity: Identity = HOUSE_48, **values: Any) -> Reading:
    values = {"cell_count": 2, "sensor_count": 0} | values
    return Reading(identity, "battery", devices.family("battery").complete(values), 0, 0)


def names(catalogue: Catalogue) -> set[tuple[str, str]]:
    return set(catalogue.listing.entities)


def said(changes: list[Change]) -> dict[str, Any]:
    return {entity.row.key: value for entity, value in changes}


def test_every_configured_device_is_there_from_the_start() -> None:
    found = Catalogue(ALL)
    link = {(one.uid, row.key) for one in ALL[:3] for row in LINK_ROWS}
    assert names(found) == link | {(one.uid, "connection_status") for one in ALL}
    assert sorted(found.listing.devices.values()) == ["House 48", "House 49", "House combined", "roof"]
    assert {value for _, value in found.states()} == {None}


def test_what_was_read_once_is_listed() -> None:
    found = Catalogue([ROVER])
    version = found.version
    assert said(found.take(controller(pv_power=34, charging_status=None))) == {"connection_status": "online"}
    assert found.version > version
    assert (ROVER.uid, "pv_power") in names(found)
    assert (ROVER.uid, "charging_status") not in names(found)
    assert {entity.row.key: value for entity, value in found.states()}["pv_power"] == 34


def test_states_are_told_when_they_change() -> None:
    found = Catalogue([ROVER])
    found.take(controller(pv_power=34, battery_voltage=13.1))
    names(found)
    version = found.version
    assert said(found.take(controller(pv_power=34, battery_voltage=13.1))) == {}
    assert said(found.take(controller(pv_power=35, battery_voltage=13.1))) == {"pv_power": 35}
    assert said(found.take(controller(pv_power=None, battery_voltage=13.1))) == {"pv_power": None}
    assert said(found.take(controller(pv_power=0, battery_voltage=13.1))) == {"pv_power": 0}
    assert found.version == version


def test_a_later_value_makes_a_new_version_and_is_not_told_to_those_with_the_old_one() -> None:
    found = Catalogue([ROVER])
    found.take(controller(pv_power=34))
    before = found.listing
    assert said(found.take(controller(pv_power=35, load_power=5))) == {"pv_power": 35}
    assert found.version > before.version
    after = found.listing
    assert after.entities[ROVER.uid, "load_power"].since > before.version
    assert after.entities[ROVER.uid, "pv_power"].since <= before.version
    assert after.entities[ROVER.uid, "pv_power"] == before.entities[ROVER.uid, "pv_power"]


def test_cells_beyond_the_count_are_not_listed() -> None:
    found = Catalogue([HOUSE_48])
    found.take(battery(cell_voltage_0=3.3, cell_voltage_1=3.3, cell_voltage_2=0.1))
    assert {(HOUSE_48.uid, "cell_voltage_0"), (HOUSE_48.uid, "cell_voltage_1")} <= names(found)
    assert (HOUSE_48.uid, "cell_voltage_2") not in names(found)
    found.take(battery(cell_count=4, cell_voltage_0=3.3, cell_voltage_2=3.2))
    assert (HOUSE_48.uid, "cell_voltage_2") in names(found)


@pytest.mark.parametrize("stage", ["blank", "offline"])
def test_a_silent_device_has_no_values(stage: Any) -> None:
    found = Catalogue(ALL)
    found.take(battery(voltage=13.3, current=-1.5))
    found.take(battery(HOUSE_49, voltage=13.2))
    found.take_figures(HOUSE_48, FIGURES)
    names(found)
    changes = found.take_standing(Standing(HOUSE_48, stage))
    assert {entity.uid for entity, _ in changes} == {HOUSE_48.uid}
    more = {"connection_status": "offline"}
    assert said(changes) == {"voltage": None, "current": None, "cell_count": None, "sensor_count": None} | more
    states = {entity.place: value for entity, value in found.states()}
    assert states[HOUSE_48.uid, "rssi"] == -61
    assert states[HOUSE_49.uid, "voltage"] == 13.2
    back = said(found.take(battery(voltage=13.3, current=-1.5)))
    assert (back["voltage"], back["current"]) == (13.3, -1.5)


def test_stale_and_released_keep_the_values() -> None:
    found = Catalogue([HOUSE_48])
    found.take(battery(voltage=13.3))
    names(found)
    assert said(found.take_standing(Standing(HOUSE_48, "stale", age=70))) == {"connection_status": "offline"}
    assert said(found.take_standing(Standing(HOUSE_48, "released", age=70))) == {"connection_status": "released"}
    assert said(found.take(battery(voltage=13.3))) == {"connection_status": "online"}


def test_the_link_is_told_beside() -> None:
    found = Catalogue([ROVER])
    found.take_figures(ROVER, FIGURES)
    names(found)
    version = found.version
    changes = said(found.take_figures(ROVER, LinkFigures(connected=False, last_error="gone")))
    assert changes["connected"] is False
    assert changes["rssi"] is None
    assert changes["last_error"] == "gone"
    assert found.version == version


def test_each_battery_has_its_own_values() -> None:
    found = Catalogue(ALL)
    names(found)
    found.take(battery(HOUSE_48, voltage=13.1))
    found.take(battery(HOUSE_49, voltage=13.2))
    states = {entity.place: (entity.device, value) for entity, value in found.states()}
    (one, volts), (other, more) = states[HOUSE_48.uid, "voltage"], states[HOUSE_49.uid, "voltage"]
    assert one != other
    assert (volts, more) == (13.1, 13.2)


def test_one_device_for_all() -> None:
    found = Catalogue(ALL, subdevices=False)
    found.take(battery(HOUSE_48, voltage=13.1))
    found.take(battery(HOUSE_49, voltage=13.2))
    listed = found.listing
    assert listed.devices == {}
    assert {entity.device for entity in listed.entities.values()} == {0}
    assert listed.entities[HOUSE_48.uid, "voltage"].name == "House 48 Voltage"
    assert len({entity.number for entity in listed.entities.values()}) == len(listed.entities)


def test_two_devices_of_one_name_do_not_share_entities() -> None:
    twin = replace(ROVER, mac="84:28:D7:FF:00:02")
    found = Catalogue([ROVER, twin], subdevices=False)
    listed = list(found.listing.entities.values())
    assert len({(entity.kind, entity.object_id) for entity in listed}) == len(listed)


def test_keys_do_not_depend_on_alias_order_or_history() -> None:
    one, other = Catalogue(ALL), Catalogue([replace(one, alias="New") for one in reversed(ALL)])
    for found in (one, other):
        found.take(battery(HOUSE_49, voltage=13.2))
    one.take(controller(pv_power=1))
    for place, entity in other.listing.entities.items():
        same = one.listing.entities[place]
        assert (entity.number, entity.device, entity.name) == (same.number, same.device, same.name)


def test_a_restart_forgets_nothing() -> None:
    before = Catalogue(ALL)
    before.take(battery(HOUSE_48, voltage=13.1, cell_voltage_0=3.3))
    before.take(controller(pv_power=1))
    before.take_figures(ROVER, FIGURES)
    memory = json.loads(json.dumps(before.remembered()))
    after = Catalogue(ALL, memory=memory)
    assert after.version == 1
    assert names(after) == names(before)
    assert [replace(e, since=1) for e in after.listing.entities.values()] == [
        replace(e, since=1) for e in before.listing.entities.values()
    ]
    assert {value for _, value in after.states()} == {None}
    assert said(after.take(controller(pv_power=2)))["pv_power"] == 2
    assert after.version == 1


@pytest.mark.parametrize(
    "memory",
    [
        {HOUSE_48.uid: 5},
        {HOUSE_48.uid: {"family": "no such", "counts": {}, "seen": []}},
        {HOUSE_48.uid: {"family": "bank:x", "counts": {}, "seen": []}},
        {HOUSE_48.uid: {"family": "battery", "counts": [], "seen": 5}},
        {HOUSE_48.uid: {"family": "battery", "counts": {"cell_count": "x"}, "seen": [None, "no_such"]}},
        {"gone": {"family": "battery", "counts": {}, "seen": ["voltage"]}},
    ],
)
def test_a_memory_of_no_use_does_no_harm(memory: dict[str, Any]) -> None:
    found = Catalogue(ALL, memory=memory)
    assert names(found) == names(Catalogue(ALL))
    found.take(battery(voltage=1.0))
    assert (HOUSE_48.uid, "voltage") in names(found)


def test_only_wanted_fields_are_listed() -> None:
    found = Catalogue([ROVER], fields=("pv_*",))
    found.take(controller(pv_power=1, load_power=2))
    keys = {key for _, key in names(found)}
    assert "pv_power" in keys
    assert "load_power" not in keys


def test_a_device_nobody_announced_is_taken_in(tmp_path: Path) -> None:
    found = Catalogue([ROVER])
    version = found.version
    found.take(battery(voltage=13.3))
    assert found.version > version
    assert "House 48" in found.listing.devices.values()
