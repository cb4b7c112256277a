"""Tells the local network by mDNS where the node is, so that Home Assistant finds it by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import ifaddr
from zeroconf import Error, InterfaceChoice, IPVersion
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from renogybt.proxy.nameplate import Nameplate

log = logging.getLogger(__name__)
KIND = "_esphomelib._tcp.local."
EVERY = 30.0
"""Seconds between two looks at the addresses of this machine."""
CLOSE_LIMIT = 2.0
Places = tuple[tuple[int | None, str], ...]
INNER = ("lo", "docker", "veth", "br-", "virbr", "cni", "podman")
"""Beginnings of the names of interfaces that lead nowhere outside."""


class Announcement:
    """`ip` is the address to announce, "" for those of this machine; `encryption` as in `Nameplate.txt`."""

    def __init__(self, plate: Nameplate, port: int, ip: str = "", encryption: str = "") -> None:
        self._plate, self._port, self._ip, self._encryption = plate, port, ip, encryption
        self._announced: tuple[tuple[str, ...], Places] = ((), ())
        self._zeroconf: AsyncZeroconf | None = None
        self._info: AsyncServiceInfo | None = None
        self._trouble = ""

    async def run(self) -> None:
        """Announce, and follow changes of address, until cancelled; then withdraw. A loop that is given up ends so, too."""
        try:
            while True:
                await self.refresh()
                await asyncio.sleep(EVERY)
        finally:
            await self.close()

    async def refresh(self) -> None:
        """Announce what is not announced yet. A network that does not take it is tried again at the next call."""
        wanted = (self._ip,) if self._ip else addresses()
        here = wanted, places()
        if here == self._announced:
            return
        await self.close()
        if not wanted:
            return
        try:
            await self._announce(wanted)
        except (OSError, Error, TimeoutError) as error:
            self._say(f"{type(error).__name__} {error}".strip())
            await self.close()
        else:
            self._announced, self._trouble = here, ""
            log.info("announced as %s at %s, port %d", self._plate.name, ", ".join(wanted), self._port)

    async def close(self) -> None:
        """Withdraw the announcement."""
        zeroconf, info = self._zeroconf, self._info
        self._zeroconf = self._info = None
        self._announced = (), ()
        if zeroconf is None:
            return
        try:
            async with asyncio.timeout(CLOSE_LIMIT):
                if info is not None:
                    await (await zeroconf.async_unregister_service(info))
                await zeroconf.async_close()
        except (OSError, Error, TimeoutError, KeyError) as error:
            log.debug("withdrawing the announcement: %s", error)

    async def _announce(self, wanted: tuple[str, ...]) -> None:
        self._zeroconf = AsyncZeroconf(**_interfaces(wanted))
        info = AsyncServiceInfo(
            KIND,
            f"{self._plate.name}.{KIND}",
            port=self._port,
            properties=dict(self._plate.txt(self._encryption)),
            server=f"{self._plate.name}.local.",  # Home Assistant takes the name of the node from here
            parsed_addresses=list(wanted),
        )
        await (await self._zeroconf.async_register_service(info))
        self._info = info

    def _say(self, trouble: str) -> None:
        """Once for each trouble."""
        if trouble != self._trouble:
            log.warning(
                "the node cannot be announced by mDNS (%s); in Home Assistant add the ESPHome integration with the address "
                "of this machine and port %d, or set mdns_ip in [home_assistant_proxy]",
                trouble,
                self._port,
            )
        self._trouble = trouble


def addresses() -> tuple[str, ...]:
    """The addresses under which others can reach this machine, IPv4 first."""
    found = [str(ip.ip if ip.is_IPv4 else ip.ip[0]) for adapter in _outer_adapters() for ip in adapter.ips]
    outer = {address for address in found if not ip_address(address).is_loopback and not _only_here(address)}
    return tuple(sorted(outer, key=lambda address: (":" in address, address)))


def places() -> Places:
    """Interface and IPv4 address of each place to speak at. A USB stick that was away has its old address on a new one."""
    return tuple(sorted((adapter.index, str(ip.ip)) for adapter in _outer_adapters() for ip in adapter.ips if ip.is_IPv4))


def _outer_adapters() -> list[Any]:
    return [adapter for adapter in ifaddr.get_adapters() if not adapter.nice_name.startswith(INNER)]


def _only_here(address: str) -> bool:
    """An IPv6 address that means nothing without the name of an interface."""
    found = ip_address(address)
    return found.version == 6 and found.is_link_local


def _interfaces(wanted: Iterable[str]) -> dict[str, Any]:
    """Where to speak: on the interfaces of the announced IPv4 addresses, if they are of this machine."""
    own = {str(ip.ip) for adapter in ifaddr.get_adapters() for ip in adapter.ips if ip.is_IPv4}
    spoken = [address for address in wanted if address in own]
    if spoken:
        return {"interfaces": spoken, "ip_version": IPVersion.V4Only}
    return {"interfaces": InterfaceChoice.Default}
