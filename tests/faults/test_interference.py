"""Links that break again and again, as they do beside a busy Wi-Fi (F19)."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

from tests.faults.catalogue import fault
from tests.faults.house import House, Part
from tests.faults.truth import Told, rover
from tests.peers.bluez import scenarios as scene

ADDRESSES = tuple(f"60:98:66:ED:FC:{number}" for number in range(20, 32))
SHARE = 0.99
"""Of the readings, so many succeed."""
PACE = 0.5
"""Readings a second that are due and published at least; nearly one unless the machine is busy."""
SECONDS, PROBABILITY, SEED = 10, 0.06, 19


def told(address: str) -> Told:
    held = rover()
    return Told(f"c{address[-2:]}_255", address, held.unit, held.values, held.register, held.key)


def part(address: str) -> Part:
    alias = f"c{address[-2:]}"
    options = {"mac_addr": address, "type": "RNG_CTRL", "device_id": 255, "alias": alias}
    return Part(alias, lambda: scene.controller(address=address, mtu=23), lambda: [told(address)], options)


@fault("F19", within=5)
def test_links_break_at_random(tmp_path: Path, within: float) -> None:
    """Of a hundred requests six break the link. The reading makes a new one and asks again, once. Twelve modules give
    enough readings to count; a Pi could not hold that many connections."""
    dice = Random(SEED)
    with House(tmp_path, *(part(address) for address in ADDRESSES), bluetooth={"max_connections": 12}) as house:
        began = time.monotonic()
        for address in ADDRESSES:
            for request in range(2 * SECONDS):
                if dice.random() < PROBABILITY:
                    house.fake.quirk(address, None, "drop", times=1, skip=request)
        time.sleep(SECONDS)
        seconds = time.monotonic() - began
        states = [state for told in house.told for state in house.states(told.label, began)]
        for address in ADDRESSES:
            house.fake.clear_quirks(address)
        broken = [event for event in house.fake.events("disconnected") if event["why"] == "dropped"]
        failed = [state for state in states if state.get("connection_status", "online") != "online"]
        assert len(broken) >= 3, "nothing was tested"
        assert len(failed) <= (1 - SHARE) * len(states), f"{len(failed)} of {len(states)} failed, {len(broken)} breaks"
        assert len(states) - len(failed) >= PACE * (seconds - 2) * len(ADDRESSES)
        house.recovers(within)
