"""What the program knows about itself."""

from __future__ import annotations

import json

from renogybt.incident import Incident
from renogybt.reading import Failure, Identity, LinkFigures, Reading
from renogybt.service.health import REMEMBERED, Health

HUB = Identity("AA:BB:CC:00:00:01", 48, "hub", True)
NOON = 1_782_900_000.0


def test_a_device_waits_is_read_and_is_given_up() -> None:
    health = Health(NOON)
    health.expect(HUB)
    assert health.snapshot(NOON)["devices"]["hub_48"]["state"] == "waiting"
    assert health.silent == 0
    health.read(Reading(HUB, "battery", {"voltage": 13.3}, NOON, 5.0, missing=("cells",)))
    assert health.snapshot(NOON)["state"] == "ok"
    health.failed(Failure(HUB, "no answer", 6.0, NOON))
    health.stands(HUB, "stale")
    found = health.snapshot(NOON)
    assert found["state"] == "degraded"
    assert found["devices"]["hub_48"]["error"] == "no answer"
    assert found["devices"]["hub_48"]["missing"] == ["cells"]
    assert health.silent == 1
    health.read(Reading(HUB, "battery", {"voltage": 13.3}, NOON, 7.0))
    assert health.snapshot(NOON)["devices"]["hub_48"]["error"] is None


def test_incidents_are_all_counted_and_the_last_ones_kept() -> None:
    health = Health(NOON)
    for number in range(3 * REMEMBERED):
        health.happened(Incident("power_cycle", f"reset {number}", at=NOON + number))
    health.happened(Incident("release", "for the phone app", at=NOON))
    found = health.snapshot(NOON)
    assert len(found["incidents"]) == REMEMBERED
    assert found["incidents"][-2]["text"] == f"reset {3 * REMEMBERED - 1}"
    assert found["resets"]["power_cycle"] == health.resets == 3 * REMEMBERED
    assert found["counts"]["release"] == 1


def test_it_can_be_sent_as_json() -> None:
    health = Health(NOON)
    health.figures(HUB, LinkFigures(reads=3, success_rate=75.0, rssi=-70))
    found = json.loads(json.dumps(health.snapshot(NOON, outlets={"mqtt": {"state": "connected"}})))
    assert found["devices"]["hub_48"]["link"]["success_rate"] == 75.0
    assert found["outlets"]["mqtt"]["state"] == "connected"
    assert found["started"].endswith("+00:00")
