"""What the tests of adapter, scans and connections look at and do time and again."""

from __future__ import annotations

from collections.abc import Iterable

from tests.faults.house import House

RUN = """
import asyncio, gc
from renogybt.ble.thread import RadioThread
loop = [one for one in gc.get_objects() if isinstance(one, RadioThread) and one.alive][-1]._loop
async def work():
{code}
said = asyncio.run_coroutine_threadsafe(work(), loop).result(8)
"""

FRESH = """
import gc
from renogybt.ble.resets import Resets
for one in gc.get_objects():
    if isinstance(one, Resets):
        one.calm()
        one._recent.clear()
"""


def part(address: str) -> str:
    """The address as it stands in object paths."""
    return address.replace(":", "_")


def asked(house: House, member: str, address: str = "") -> list[float]:
    """When this was asked of the module, or of anything."""
    return [call["t"] for call in house.fake.calls(member) if part(address) in call["path"]]


def resets(house: House) -> int:
    """How often the adapter was switched off."""
    return len(house.fake.events("unpowered"))


def forget(house: House, addresses: Iterable[str]) -> None:
    """Their links break, and BlueZ forgets them: only a scan brings them back."""
    for address in addresses:
        house.fake.remove_device(address)


def drop(house: House, addresses: Iterable[str]) -> None:
    for address in addresses:
        assert house.fake.drop_link(address)


def in_loop(house: House, code: str) -> str:
    """Await this inside the program (started with `sabotage`), in its radio thread."""
    return house.inside(RUN.format(code="".join(f"    {line}\n" for line in code.strip().splitlines())))


def set_limit(house: House, module: str, name: str, seconds: float) -> None:
    """Another figure for a limit inside the program, where the real one takes long."""
    house.inside(f"import renogybt.ble.{module} as place\nassert isinstance(place.{name}, float)\nplace.{name} = {seconds}")


def fresh(house: House) -> None:
    """As after a long calm: no remedy was tried lately, whatever the tests before this one needed."""
    house.inside(FRESH)
