"""The messages of the Bluetooth proxy by their numbers, and how a device's services are written into them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from renogybt.ble.guest import Service
from renogybt.proxy import messages
from renogybt.proxy.bluetooth_numbers import PROPERTIES
from renogybt.proxy.plain import Packet

DEVICE_REQUEST, CONNECTION = 68, 69
GET_SERVICES, SERVICES, SERVICES_DONE = 70, 71, 72
READ, READ_ANSWER = 73, 74
WRITE, READ_DESCRIPTOR, WRITE_DESCRIPTOR = 75, 76, 77
NOTIFY, NOTIFICATION = 78, 79
CONNECTIONS_FREE = 81
GATT_ERROR, WRITE_ANSWER, NOTIFY_ANSWER = 82, 83, 84
PAIRING, UNPAIRING, CACHE_CLEARING = 85, 86, 88
SCANNER_STATE, SCANNER_SET_MODE = 126, 127
SET_PARAMETERS, PARAMETERS_ANSWER = 145, 146
GATT_REQUESTS = frozenset({GET_SERVICES, READ, WRITE, READ_DESCRIPTOR, WRITE_DESCRIPTOR, NOTIFY})

CONNECT, DISCONNECT, PAIR, UNPAIR, CONNECT_WITH_CACHE, CONNECT_WITHOUT_CACHE, CLEAR_CACHE = range(7)
"""What a device request may ask for. The cache is that of the client; BlueZ has its own."""
CONNECTS = frozenset({CONNECT, CONNECT_WITH_CACHE, CONNECT_WITHOUT_CACHE})
PASSIVE, ACTIVE = 0, 1
IDLE, STARTING, RUNNING, FAILED = range(4)
HALF = (1 << 64) - 1


def service_packets(address: int, services: Iterable[Service]) -> Iterator[Packet]:
    """One message for each service, and one that says that these were all."""
    for service in services:
        answer = messages.classes()[SERVICES](address=address)
        listed = answer.services.add(uuid=halves(service.uuid), handle=service.handle)
        for item in service.characteristics:
            properties = sum(PROPERTIES.get(name, 0) for name in set(item.properties))
            found = listed.characteristics.add(uuid=halves(item.uuid), handle=item.handle, properties=properties)
            for descriptor in item.descriptors:
                found.descriptors.add(uuid=halves(descriptor.uuid), handle=descriptor.handle)
        yield SERVICES, answer.SerializeToString()
    yield messages.packet(SERVICES_DONE, address=address)


def halves(uuid: str) -> list[int]:
    whole = int(uuid.replace("-", ""), 16)
    return [whole >> 64, whole & HALF]
