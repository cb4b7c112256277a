"""The announcement, heard by another mDNS stack on this host."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from zeroconf import IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from renogybt.proxy import mdns
from renogybt.proxy.mdns import KIND, Announcement, addresses
from renogybt.proxy.nameplate import Nameplate
from renogybt.proxy.plain import PROTOCOL
from tests.proxy.given import HOST, KEY, running, settings, until

PLATE = Nameplate("renogy-test", "Renogy test", "02:00:00:AA:BB:CC")


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


class Ear:
    """Listens on this host."""

    async def __aenter__(self) -> Ear:
        self._zeroconf = AsyncZeroconf(interfaces=[HOST], ip_version=IPVersion.V4Only)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._zeroconf.async_close()

    async def ask(self, name: str) -> AsyncServiceInfo | None:
        info = AsyncServiceInfo(KIND, f"{name}.{KIND}")
        return info if await info.async_request(self._zeroconf.zeroconf, 3000) else None

    def known(self, name: str) -> bool:
        """Whether the announcement is in force as far as was heard."""
        return AsyncServiceInfo(KIND, f"{name}.{KIND}").load_from_cache(self._zeroconf.zeroconf)


@pytest.mark.parametrize("key", ["", KEY], ids=["plain", "encrypted"])
def test_the_node_is_announced_and_withdrawn(tmp_path: Path, key: str) -> None:
    async def work() -> None:
        async with Ear() as ear:
            async with running(settings(tmp_path, encryption_key=key)) as node:
                found = await ear.ask(node.name)
                assert found is not None
                assert found.server == f"{node.name}.local."
                assert found.port == node.port
                assert found.parsed_addresses() == [HOST]
                text = {name.decode(): (value or b"").decode() for name, value in found.properties.items()}
                assert text["mac"] == node.plate.digits
                assert text["friendly_name"] == "Renogy bridge"
                assert text["version"].startswith("20")
                assert text.get("api_encryption") == (PROTOCOL if key else None)
                assert "." in text["project_name"]
                name = node.name
                assert ear.known(name)
            await until(lambda: not ear.known(name))

    run(work())


def test_a_change_of_address_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    here: list[tuple[str, ...]] = [(HOST,), (HOST, "192.0.2.7"), ()]
    monkeypatch.setattr(mdns, "addresses", lambda: here[0])

    async def work() -> None:
        announcement = Announcement(PLATE, 6053)
        async with Ear() as ear:
            for _ in range(2):
                await announcement.refresh()
                await announcement.refresh()
                found = await ear.ask(PLATE.name)
                assert found is not None
                assert sorted(found.parsed_addresses()) == sorted(here.pop(0))
            await announcement.refresh()
            await until(lambda: not ear.known(PLATE.name))
        await announcement.close()

    run(work())


def test_an_interface_that_was_exchanged_is_spoken_on_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is the old one; the socket belongs to what is gone."""
    here = [((3, HOST),), ((3, HOST),), ((7, HOST),)]
    monkeypatch.setattr(mdns, "places", lambda: here.pop(0))
    made: list[AsyncZeroconf] = []

    def make(**options: Any) -> AsyncZeroconf:
        made.append(AsyncZeroconf(**options))
        return made[-1]

    monkeypatch.setattr(mdns, "AsyncZeroconf", make)

    async def work() -> None:
        announcement = Announcement(PLATE, 6053, HOST)
        for spoken in (1, 1, 2):
            await announcement.refresh()
            assert len(made) == spoken
        async with Ear() as ear:
            assert await ear.ask(PLATE.name)
        await announcement.close()

    run(work())


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    async def work() -> None:
        async with Ear() as ear, running(settings(tmp_path, device_name="ä" * 400)) as node:
            found = await ear.ask(node.name)
            assert found is not None
            assert found.properties[b"friendly_name"] == node.plate.friendly_name.encode()

    run(work())


def test_the_address_of_the_configuration_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mdns, "_interfaces", lambda wanted: {"interfaces": [HOST], "ip_version": IPVersion.V4Only})

    async def work() -> None:
        announcement = Announcement(PLATE, 6053, "192.0.2.9")
        async with Ear() as ear:
            await announcement.refresh()
            found = await ear.ask(PLATE.name)
            assert found is not None
            assert found.parsed_addresses() == ["192.0.2.9"]
        await announcement.close()

    run(work())


def test_a_network_that_is_not_there_yet(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Said once, tried again, and then all is well."""

    def down(**_: object) -> AsyncZeroconf:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    async def work() -> None:
        announcement = Announcement(PLATE, 6053, HOST)
        with monkeypatch.context() as outage:
            outage.setattr(mdns, "AsyncZeroconf", down)
            await announcement.refresh()
            await announcement.refresh()
        async with Ear() as ear:
            await announcement.refresh()
            assert await ear.ask(PLATE.name)
        await announcement.close()

    run(work())
    warned = [record.getMessage() for record in caplog.records if "cannot be announced" in record.getMessage()]
    assert len(warned) == 1
    assert "port 6053" in warned[0]


def test_addresses_lead_outside() -> None:
    found = addresses()
    assert HOST not in found
    assert not [address for address in found if address.startswith(("fe80", "::1"))]
