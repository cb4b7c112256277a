"""Advertisements as BlueZ tells of them: which of its news is one, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bleak.backends.scanner import AdvertisementData

CONTENT = ("Name", "UUIDs", "ServiceData", "ManufacturerData", "TxPower", "AdvertisingFlags")
"""Properties of Device1 that come from what a device advertises."""
ON_THE_AIR = ("RSSI", "ManufacturerData", "ServiceData", "AdvertisingFlags", "AdvertisingData", "TxPower")
"""Those of them that nothing but an advertisement changes. Names and services are also learned over a connection."""
MOST = 512
"""Devices of which is known what they said last."""


class Content(NamedTuple):
    """`manufacturer` by company, `service_data` by uuid (whole text). What BlueZ did not tell is None, or empty."""

    name: str | None
    uuids: tuple[str, ...]
    service_data: Mapping[str, bytes]
    manufacturer: Mapping[int, bytes]
    tx_power: int | None
    flags: bytes


class Advert(NamedTuple):
    """One advertisement was heard. `address` upper case with colons; `rssi` in dBm. A device that says the same as before
    has the very same `content`.
    """

    address: str
    random: bool
    rssi: int
    content: Content


class Ear:
    """Tells advertisements from other news about a device, by comparing with what was known of it before.

    BlueZ sends the news of everything it knows of a device in one way: also that it was connected, or that its services
    were found. A scan that ends makes it forget the signal strength, so that whoever has one was heard in this scan.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Mapping[str, Any], Content]] = {}

    def take(self, props: Mapping[str, Any]) -> Advert | None:
        """The advertisement that these properties of a Device1 tell of; None when they tell of something else."""
        address, rssi = props.get("Address"), props.get("RSSI")
        if not address:
            return None
        before = self._known.get(address)
        if before is None:
            content = content_of(props)
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
        else:
            was, content = before
            if any(props.get(key) != was.get(key) for key in CONTENT):
                content = content_of(props)
        self._known[address] = (props, content)
        if rssi is None or (before is not None and not is_advert(props, before[0])):
            return None
        return Advert(address, props.get("AddressType") == "random", rssi, content)

    @staticmethod
    def plain(address: str, said: AdvertisementData) -> Advert:
        """The advertisement as it is told elsewhere than on Linux, where nothing else is."""
        maker, services = said.manufacturer_data, tuple(said.service_uuids)
        content = Content(said.local_name, services, said.service_data, maker, said.tx_power, b"")
        return Advert(address.upper(), False, said.rssi, content)


def is_advert(props: Mapping[str, Any], was: Mapping[str, Any]) -> bool:
    """Whether an advertisement made `props` out of `was`. Nothing new at all: it was one that repeats the one before."""
    if any(props.get(key) != was.get(key) for key in ON_THE_AIR):
        return True
    if props == was:
        return True
    return not props.get("Connected") and all(props.get(key) == was.get(key) for key in (*props, *was) if key not in CONTENT)


def content_of(props: Mapping[str, Any]) -> Content:
    return Content(
        props.get("Name"),
        tuple(props.get("UUIDs") or ()),
        {uuid: bytes(data) for uuid, data in (props.get("ServiceData") or {}).items()},
        {company: bytes(data) for company, data in (props.get("ManufacturerData") or {}).items()},
        props.get("TxPower"),
        bytes(props.get("AdvertisingFlags") or b""),
    )
