"""What the devices say, and when: late, damaged, foreign, nothing (F51 to F54)."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from tests.faults.catalogue import fault
from tests.faults.house import HUB, House
from tests.peers.bluez import scenarios as scene

ROVER, PACKS = scene.CONTROLLER, scene.BATTERIES
CELLS, TEMPERATURES = 5000, 5017


@fault("F51", within=6)
def test_an_answer_that_comes_late(house: House, within: float) -> None:
    """Cells and temperatures of a battery are 17 words each: nothing in the answer tells them apart, so after a silence
    the link is made anew, and the late answer finds nobody."""
    house.fake.quirk(PACKS, 48, "late", 2.5, times=1, register=CELLS)
    house.fake.quirk(ROVER, None, "late", 2.05, times=1)
    house.recovers(within)


@pytest.mark.parametrize(
    ("kind", "more", "other", "others_more"),
    [
        ("corrupt_crc", {}, "truncate", {"value": 11}),
        ("junk", {"value": "ff0344ff03", "times": 2}, "junk", {"value": "30032200", "times": 2}),
        ("repeat", {"times": 3}, "wrong_unit", {"value": 9}),
    ],
)
@fault("F52", within=6)
def test_damaged_answers(
    house: House, within: float, kind: str, more: dict[str, Any], other: str, others_more: dict[str, Any]
) -> None:
    house.fake.quirk(ROVER, None, kind, **({"times": 1} | more))
    house.fake.quirk(PACKS, 48, other, **({"times": 1} | others_more))
    house.recovers(within)


@fault("F52", within=6)
def test_a_refusal_is_no_broken_link(house: House, within: float) -> None:
    """One window of one battery is refused: the others are read on, through the same link."""
    house.fake.quirk(PACKS, 48, "exception", 2, register=TEMPERATURES, times=2)
    before = time.monotonic()
    house.recovers(within)
    assert not house.fake.calls("Disconnect")
    assert all(said["voltage"] is not None for said in house.states("hub_49", before))


@fault("F53", within=5)
def test_bytes_nobody_asked_for(house: House, within: float) -> None:
    """Noise, long and short, and whole answers of another moment, before and between the real ones."""
    dice = random.Random(53)
    old = bytes.fromhex(scene.captured("rvr40-dynamic")["response"])
    for _ in range(60):
        house.fake.notify(ROVER, dice.randbytes(dice.choice((1, 7, 20, 180))))
        house.fake.notify(PACKS, dice.randbytes(dice.choice((1, 7, 20, 180))))
        house.fake.notify(PACKS, old[: dice.randrange(len(old))])
        time.sleep(0.02)
    house.recovers(within)


@fault("F54", within=5)
def test_old_values_never_pass_for_new_ones(tmp_path_factory: pytest.TempPathFactory, within: float) -> None:
    """A module is out of reach: first its last values with their age, then none, then it is unavailable."""
    limits = {"stale_seconds": 7, "offline_seconds": 12}
    with House(tmp_path_factory.mktemp("house"), HUB, availability=limits) as house:
        began, topic = time.monotonic(), "solar/hub_49/availability"
        house.fake.rule("Connect", ("org.bluez.Error.Failed", "le-connection-refused"))
        house.fake.registers(PACKS, 49, {5042: 4321})  # a current that is never to be seen
        house.fake.drop_link(PACKS)
        since = len(house.ears.on(topic))
        house.until(lambda: "offline" in house.ears.on(topic)[since:], what="unavailable")
        stages = [stage_of(said) for said in house.states("hub_49", began)]
        assert [stage for stage in ("old", "none") if stage in stages] == ["old", "none"]
        assert stages == sorted(stages, key=("new", "old", "none").index), "from better to worse, and never back"
        first_none = next(heard for heard in house.heard("hub_49", began) if stage_of(json.loads(heard.payload)) == "none")
        later = [heard for heard in list(house.ears.messages) if heard.topic == topic and heard.at >= began]
        gone = next(heard for heard in later if heard.payload == "offline")
        assert first_none.at < gone.at
        house.fake.registers(PACKS, 49, {5042: 298})
        house.fake.clear_rules()
        house.recovers(within)
        house.until(lambda: house.ears.on(topic)[-1] == "online", what="available")


def stage_of(said: dict[str, Any]) -> str:
    if said["connection_status"] == "online":
        return "new"
    return "none" if said["voltage"] is None else "old"
