"""A node, the readings of the simulated devices, and the client that Home Assistant uses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aioesphomeapi import APIClient, ButtonInfo, EntityInfo, EntityState
from msgspec.structs import replace

from renogybt.proxy.node import EsphomeNode
from renogybt.reading import Identity, LinkFigures, Reading
from renogybt.settings import HomeAssistantProxy, Settings
from renogybt.simulator.plant import Plant
from renogybt.simulator.radio import SimulatedRadio
from renogybt.simulator.system import demo_settings
from renogybt.simulator.weather import DAY, HOUR
from renogybt.sources.module import Section

HOST = "127.0.0.1"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
OTHER_KEY = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
START = 20_000 * DAY + 10 * HOUR
FIGURES = LinkFigures(connected=True, rssi=-61, reads=7, last_update=1_700_000_000.0)


def settings(folder: Path, temperature_unit: str = "C", fields: tuple[str, ...] = (), **options: Any) -> Settings:
    """Controller, four batteries on a hub, DC-DC charger, inverter and shunt; any free port; nothing leaves this host."""
    found = demo_settings(1883, str(folder))
    options = {"enabled": True, "native_api_port": 0, "mdns_ip": HOST} | options
    proxy = HomeAssistantProxy(**options)
    if not proxy.native_api_port:
        proxy = replace(proxy, native_api_port=0)
    data = replace(found.data, temperature_unit=temperature_unit, fields=fields)  # type: ignore[arg-type]
    return replace(found, home_assistant_proxy=proxy, data=data)


def identities(known: Settings) -> list[Identity]:
    return [identity for device in known.devices for identity in Section(device, known).identities]


def readings(known: Settings, at: float = START) -> list[Reading]:
    """What the simulated devices measure, each read once over a simulated link, and the four batteries as one."""

    async def read() -> list[Reading]:
        radio, found = SimulatedRadio(Plant(5, at), known), []
        for device in known.devices:
            section = Section(device, known)
            async with radio.lend(device, section.sources[0].reader.gatt) as link:
                own = [await source.reader.read(link) for source in section.sources]
            if section.bank is not None:
                units = {reading.identity.unit: reading for reading in own if reading.identity.unit is not None}
                own.append(section.bank.combine(units, time.time(), time.monotonic()))
            found += own
        return found

    return asyncio.run(read())


@asynccontextmanager
async def running(known: Settings, news: Iterable[Any] = (), proxy: Any = None) -> AsyncIterator[EsphomeNode]:
    """A node that has heard `news`."""
    node = EsphomeNode(known, identities(known), proxy, HOST)
    for one in news:
        node.offer(one)
    await node.start()
    try:
        yield node
    finally:
        await node.close()


class Client:
    """Home Assistant's client, and everything it was told."""

    def __init__(self, node: EsphomeNode, key: str = "", info: str = "test") -> None:
        self.api = APIClient(HOST, node.port, None, client_info=info, noise_psk=key or None)
        self.states: dict[tuple[int, int], EntityState] = {}
        self.updates = 0
        self.entities: dict[tuple[int, int], EntityInfo] = {}
        self.left: asyncio.Event = asyncio.Event()
        self.expected: bool | None = None

    async def __aenter__(self) -> Client:
        await self.api.connect(on_stop=self._stopped, login=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.api.disconnect(force=True)

    async def _stopped(self, expected: bool) -> None:
        self.expected = expected
        self.left.set()

    async def listen(self) -> None:
        """Read the list of entities, and hear of states from now on, until each entity has one."""
        found, _ = await self.api.list_entities_services()
        self.entities = {(entity.device_id, entity.key): entity for entity in found}
        self.api.subscribe_states(self._take)
        stated = sum(not isinstance(entity, ButtonInfo) for entity in found)
        await until(lambda: len(self.states) >= stated)

    def _take(self, state: EntityState) -> None:
        self.updates += 1
        self.states[state.device_id, state.key] = state

    def named(self, device: int, name: str) -> EntityState:
        """The state of the entity with that name."""
        (place,) = [place for place, one in self.entities.items() if one.name == name and place[0] == device]
        return self.states[place]


async def until(met: Callable[[], bool], seconds: float = 40.0) -> None:
    """Wait for `met`, which must come true within `seconds`."""
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.005)
