"""Home Assistant without a broker, as its own client sees it: the real program over a fake BlueZ, and the real client."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from aioesphomeapi import APIClient, APIConnectionError, EntityState
from aioesphomeapi.api_pb2 import PingRequest, PingResponse

from benchmarks.hub import UNITS, processor_seconds, resident_megabytes
from benchmarks.report import Figure
from tests.e2e.program import Program
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.mosquitto import Mosquitto, free_port

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
PERIOD, WARM, CYCLES = 2.5, 4, 12
"""Seconds between two readings (on the wire one takes 1.9), and how many go before those that are looked at."""
RATE, DEVICES, SECONDS = 1000, 100, 10.0
"""The flood: advertisements per second, how many devices send them, for how long."""
PING_EVERY = 0.01
CURRENT = 5042
"""Register of a battery's current: it changes with every reading, so that there is a state to tell."""
ENOUGH = 55
LIMIT = 60.0
Run = tuple[str, bool]
"""Whether there is a key, and whether it publishes to a broker as well."""
RUNS: dict[str, Run] = {
    "plain": ("", False),
    "encrypted": (KEY, False),
    "plain, with MQTT": ("", True),
    "encrypted, with MQTT": (KEY, True),
}


class Proxy(Program):
    script = "ha_proxy_example.py"


@dataclass
class Measured:
    """What one run gave. Latencies in ms; `flood`: sent, arrived, processor seconds of the whole process."""

    entities: int = 0
    states: list[float] = field(default_factory=list)
    pings: list[float] = field(default_factory=list)
    flooded_pings: list[float] = field(default_factory=list)
    flood: tuple[int, int, float] = (0, 0, 0.0)
    megabytes: float = 0.0


def figures() -> Iterator[Figure]:
    """Of the runs the worst, and memory of each."""
    runs = {name: measure(*run) for name, run in RUNS.items()}
    every = list(runs.values())
    names = f"worst of {len(runs)} runs"
    there = "ha_proxy_example.py over a fake BlueZ with the timing of 9600 baud; client aioesphomeapi"
    yield Figure("entities of four batteries", min(run.entities for run in every), ENOUGH, "", there, least=True)
    states = [latency for run in every for latency in run.states]
    method = f"last byte of a battery's answer to the client's callback; {len(states)} states"
    yield Figure("state to the client, median", statistics.median(states), None, "ms", method)
    yield Figure("state to the client, longest", max(states), 50, "ms", f"the same; {names}")
    pings = [took for run in every for took in run.pings]
    method = f"{len(pings)} pings while four batteries are read; the longest {max(pings):.0f} ms, {names}"
    yield Figure("ping while reading, 99 of 100", max(percentile(run.pings) for run in every), 250, "ms", method)
    rate = min(run.flood[0] for run in every) / SECONDS
    used = max(run.flood[2] for run in every) / SECONDS
    method = f"{rate:.0f} advertisements/s of {DEVICES} devices for {SECONDS:g} s; whole process, reading too; {names}"
    yield Figure("advertisements passed on, of one core", 100 * used, 25, "%", method)
    lost = sum(run.flood[0] - run.flood[1] for run in every)
    yield Figure("advertisements lost", lost, 0, "", f"of {sum(run.flood[0] for run in every)} that could be heard")
    method = f"{sum(len(run.flooded_pings) for run in every)} pings while they are passed on; {names}"
    flooded = max(percentile(run.flooded_pings) for run in every)
    yield Figure("ping meanwhile, 99 of 100", flooded, None, "ms", method)
    for name, run in runs.items():
        method = f"VmRSS after {CYCLES} cycles and {run.flood[0]} advertisements, client connected"
        yield Figure(f"memory with ESPHome ({name})", run.megabytes, LIMIT, "MB", method)


def measure(key: str, mqtt: bool) -> Measured:
    """Run the program with the timing of a real line and measure it from outside."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="esphome-")))
        fake = stack.enter_context(Fake(scene.scenario(scene.batteries(**scene.WIRE))))
        broker = stack.enter_context(Mosquitto(folder / "broker")) if mqtt else None
        port = free_port()
        ini = config(port, key, broker.port if broker else None)
        program = stack.enter_context(Proxy(folder, ini, fake))
        return asyncio.run(asyncio.wait_for(visit(program, fake, port, key), 300))


def config(port: int, key: str, broker: int | None) -> str:
    return f"""
[device]
mac_addr = {scene.BATTERIES}
alias = hub
type = RNG_BATT
device_id = {",".join(map(str, UNITS))}
[data]
enable_polling = true
poll_interval = {PERIOD}
[mqtt]
enabled = {broker is not None}
server = 127.0.0.1
port = {broker or 1883}
homeassistant_discovery = true
[home_assistant_proxy]
native_api_port = {port}
encryption_key = {key}
mdns_ip = 127.0.0.1
"""


async def visit(program: Program, fake: Fake, port: int, key: str) -> Measured:
    found = Measured()
    client = await settled(fake, port, key)
    try:
        found.entities = len(client.entities)
        fake.clear_log()
        client.heard.clear()
        pings = asyncio.create_task(client.ping())
        await client.changes(fake, CYCLES)
        groups = readings(await asyncio.to_thread(fake.frames, scene.BATTERIES))
        found.states = list(latencies(groups, client.heard))
        found.pings = list(during(client.pings, groups))
        client.pings.clear()
        found.flood = await flood(program, fake, client)
        found.flooded_pings = [took for _, took in client.pings]
        pings.cancel()
        with suppress(asyncio.CancelledError):
            await pings
        found.megabytes = resident_megabytes(program.pid)
    finally:
        await client.api.disconnect(force=True)
    return found


async def settled(fake: Fake, port: int, key: str) -> Client:
    """A client with the whole list: the program asks those that came before it was complete to come again.

    Whatever is loaded at the first use is loaded then.
    """
    while True:
        client = await introduced(port, key)
        client.listen()
        with suppress(ConnectionResetError):
            await client.changes(fake, WARM)
            return client
        await client.api.disconnect(force=True)


async def introduced(port: int, key: str) -> Client:
    """A client that knows of all batteries."""
    while True:
        client = Client(APIClient("127.0.0.1", port, None, client_info="bench", noise_psk=key or None))
        with suppress(APIConnectionError):
            if await client.connect():
                return client
        await client.api.disconnect(force=True)
        await asyncio.sleep(0.3)


class Client:
    """Home Assistant's client. `heard`: when each battery's current changed, and to what; `pings`: when sent, and ms."""

    def __init__(self, api: APIClient) -> None:
        self.api = api
        self.entities: list[Any] = []
        self.heard: dict[int, list[float]] = defaultdict(list)
        self.pings: list[tuple[float, float]] = []
        self.counts: list[int] = []
        self._currents: dict[tuple[int, int], int] = {}
        self._wanted = 0.0
        self._change = 0
        self._gone = False

    async def connect(self) -> bool:
        """Whether it knows the current of every battery. Raises `APIConnectionError`."""
        await self.api.connect(on_stop=self._left, login=True)
        devices = {device.device_id: device.name for device in (await self.api.device_info()).devices}
        self.entities, _ = await self.api.list_entities_services()
        for one in self.entities:
            if one.object_id == "current":
                self._currents[one.device_id, one.key] = int(devices[one.device_id].split()[-1])
        return len(self._currents) == len(UNITS)

    def listen(self) -> None:
        """As Home Assistant does: states, and everything the Bluetooth proxy hears."""
        self.api.subscribe_states(self._state)
        self.api.subscribe_bluetooth_le_raw_advertisements(self._advertised)

    async def changes(self, fake: Fake, cycles: int) -> None:
        """Give all batteries another current so many times, each time when the last of them was read: between two cycles.

        Raises `ConnectionResetError` when the program ends the connection.
        """
        for _ in range(cycles):
            self._change += 1
            self._wanted = self._change / 100
            before = len(self.heard[UNITS[-1]])
            for unit in UNITS:
                await asyncio.to_thread(fake.registers, scene.BATTERIES, unit, {CURRENT: self._change})
            while len(self.heard[UNITS[-1]]) == before:
                if self._gone:
                    raise ConnectionResetError("the program has ended the connection")
                await asyncio.sleep(0.005)

    async def ping(self) -> None:
        """For ever, one after the other."""
        connection = self.api._connection  # the client has no public ping
        assert connection is not None
        while True:
            began = time.monotonic()
            await connection.send_message_await_response(PingRequest(), PingResponse, 60.0)
            self.pings.append((began, 1000 * (time.monotonic() - began)))
            await asyncio.sleep(PING_EVERY)

    async def _left(self, expected: bool) -> None:
        self._gone = True

    def _state(self, state: EntityState) -> None:
        now = time.monotonic()
        unit = self._currents.get((state.device_id, state.key))
        if unit is not None and abs(state.state - self._wanted) < 0.001:  # type: ignore[attr-defined]
            self.heard[unit].append(now)

    def _advertised(self, message: Any) -> None:
        for each in message.advertisements:
            if each.address >> 16 == 0xC0000000:  # of the flood; they count themselves
                self.counts.append(int.from_bytes(each.data[4:8], "big"))


async def flood(program: Program, fake: Fake, client: Client) -> tuple[int, int, float]:
    used, began = processor_seconds(program.pid), time.monotonic()
    await asyncio.to_thread(fake.flood, DEVICES, RATE, SECONDS)
    await asyncio.sleep(SECONDS - (time.monotonic() - began))
    used = processor_seconds(program.pid) - used
    going = True
    while going:
        going, sent = await asyncio.to_thread(fake.flooded)
    await asyncio.sleep(1)
    if sent < 0.9 * RATE * SECONDS:
        raise RuntimeError(f"the fake BlueZ could not do more than {sent / SECONDS:.0f} advertisements/s")
    return sent, len(set(client.counts)), used


def readings(frames: list[dict[str, Any]]) -> list[tuple[int, float, float]]:
    """Unit, begin of the first request and end of the last answer of each battery's reading."""
    found = []
    for unit, group in groupby(frames, lambda frame: int(frame["hex"][:2], 16)):
        same = [frame for frame in group if frame["done"]]
        if same:
            found.append((unit, same[0]["t"], same[-1]["done"]))
    return found


def latencies(groups: list[tuple[int, float, float]], heard: dict[int, list[float]]) -> Iterator[float]:
    """ms from the end of each reading to the moment the client heard of it; each reading brought one change."""
    for unit, moments in heard.items():
        ends = [done for each, _, done in groups if each == unit]
        if len(ends) != len(moments):
            raise RuntimeError(f"battery {unit}: {len(ends)} readings, but {len(moments)} changes; is the machine busy?")
        yield from (1000 * (moment - end) for end, moment in zip(ends, moments, strict=True))


def during(pings: list[tuple[float, float]], groups: list[tuple[int, float, float]]) -> Iterator[float]:
    """Those that were sent while a battery was read."""
    return (took for sent, took in pings if any(begin <= sent <= end for _, begin, end in groups))


def percentile(values: list[float], share: float = 0.99) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
