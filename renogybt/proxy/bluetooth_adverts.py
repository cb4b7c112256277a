"""Advertisements to the clients: put together again from what BlueZ took apart, and sent in batches."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator

from renogybt.ble.advert import Advert, Content
from renogybt.proxy import messages
from renogybt.proxy.plain import Packet
from renogybt.proxy.session import LOSSY_LIMIT, Session

RAW_ADVERTISEMENTS = 93
BATCH, BATCH_SECONDS = 16, 0.1
"""Advertisements in one message, and seconds the first of them may wait; as the firmware does."""
QUEUE = 128
"""Advertisements that may wait for a client which is slow; then the oldest go."""
MOST = 512
"""Devices whose structures are kept put together."""
LONGEST_NAME = 50
HALF, LEGACY, EXTENDED = 31, 62, 255
"""Bytes in an advertisement, in one with its scan response, and in one of the long kind."""
FLAGS, TX_POWER, SHORT_NAME, NAME, MANUFACTURER = 0x01, 0x0A, 0x08, 0x09, 0xFF
BASE = "-0000-1000-8000-00805f9b34fb"
UUID_LISTS = {2: (0x02, 0x03), 4: (0x04, 0x05), 16: (0x06, 0x07)}
"""Type of an incomplete and of a complete list of services, by the size of its numbers."""
SERVICE_DATA = {2: 0x16, 4: 0x20, 16: 0x21}
Entry = tuple[int, int, int, bytes]
"""Address, dBm, type of the address, structures."""


def structures(content: Content) -> bytes:
    """The advertisement as it may have been on the air. What BlueZ does not tell (mostly the flags) is left out.

    BlueZ adds up what a device said in several advertisements. What does not fit into one is left out too: first the name,
    then services. A single structure that is longer than an ordinary advertisement proves one of the long kind.
    """
    data = [_structure(FLAGS, content.flags)] if content.flags else []
    for company, said in content.manufacturer.items():
        data.append(_structure(MANUFACTURER, company.to_bytes(2, "little") + said))
    for uuid, said in content.service_data.items():
        number = shortest(uuid)
        data.append(_structure(SERVICE_DATA[len(number)], number + said))
    limit = EXTENDED if any(len(each) > HALF for each in data) else LEGACY
    out = bytearray()
    for each in data:
        if len(out) + len(each) <= limit:
            out += each
    for each in _lists(content.uuids, limit - len(out)):
        out += each
    if content.tx_power is not None and limit - len(out) >= 3:
        out += _structure(TX_POWER, content.tx_power.to_bytes(1, "little", signed=True))
    out += _name(content.name or "", limit - len(out))
    return bytes(out)


def shortest(uuid: str) -> bytes:
    """The number as it goes over the air: 2, 4 or 16 bytes, the last one first."""
    if uuid.endswith(BASE):
        whole = bytes.fromhex(uuid[:8])
        return whole[:1:-1] if whole[:2] == b"\0\0" else whole[::-1]
    return bytes.fromhex(uuid.replace("-", ""))[::-1]


def _structure(kind: int, data: bytes) -> bytes:
    data = data[: EXTENDED - 1]
    return bytes((len(data) + 1, kind)) + data


def _lists(uuids: Iterable[str], room: int) -> Iterator[bytes]:
    numbers = [shortest(uuid) for uuid in uuids]
    for size, (incomplete, complete) in UUID_LISTS.items():
        same = [number for number in numbers if len(number) == size]
        fitting = same[: max(0, min(room, EXTENDED) - 2) // size]
        if fitting:
            made = _structure(complete if len(fitting) == len(same) else incomplete, b"".join(fitting))
            room -= len(made)
            yield made


def _name(name: str, room: int) -> bytes:
    whole = name.encode()[:LONGEST_NAME].decode(errors="ignore").encode()
    fitting = whole[: max(0, room - 2)].decode(errors="ignore").encode()
    return _structure(NAME if fitting == whole else SHORT_NAME, fitting) if fitting else b""


class Batches:
    """Passes advertisements on to `clients`. `sent` counts advertisements (once, however many clients), `dropped` those that
    a client which was too slow has missed.
    """

    def __init__(self) -> None:
        self.sent = self.dropped = 0
        self._waiting: dict[Session, deque[Entry]] = {}
        self._batch: list[Entry] = []
        self._made: dict[str, tuple[Content, int, bytes]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def clients(self) -> list[Session]:
        return list(self._waiting)

    def add(self, session: Session) -> None:
        self._waiting.setdefault(session, deque())

    def remove(self, session: Session) -> None:
        self._waiting.pop(session, None)

    def hear(self, advert: Advert) -> None:
        made = self._made.get(advert.address)
        if made is None or made[0] is not advert.content:
            made = self._make(advert)
            if made is None:
                return
        self._batch.append((made[1], advert.rssi, int(advert.random), made[2]))
        if len(self._batch) >= BATCH:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._flush)

    def _make(self, advert: Advert) -> tuple[Content, int, bytes] | None:
        digits = advert.address.replace(":", "")
        if len(digits) != 12:  # systems that do not tell addresses
            return None
        if advert.address not in self._made and len(self._made) >= MOST:
            del self._made[next(iter(self._made))]
        self._made[advert.address] = made = (advert.content, int(digits, 16), structures(advert.content))
        return made

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._batch = self._batch, []
        self.sent += len(batch)
        packet = packed(batch) if batch else None
        for session, waiting in self._waiting.items():
            self._catch_up(session, waiting)
            if packet is not None and not waiting and session.backlog <= LOSSY_LIMIT:
                session.send(packet)
            else:
                self._put_by(session, waiting, batch)
        if self._timer is None and any(self._waiting.values()):
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self._flush)

    def _catch_up(self, session: Session, waiting: deque[Entry]) -> None:
        while waiting and session.backlog <= LOSSY_LIMIT:
            session.send(packed([waiting.popleft() for _ in range(min(BATCH, len(waiting)))]))

    def _put_by(self, session: Session, waiting: deque[Entry], batch: list[Entry]) -> None:
        waiting.extend(batch)
        lost = max(0, len(waiting) - QUEUE)
        for _ in range(lost):
            waiting.popleft()
        self.dropped += lost
        session.lost_advertisements += lost


def packed(entries: Iterable[Entry]) -> Packet:
    message = messages.classes()[RAW_ADVERTISEMENTS]()
    for address, rssi, kind, data in entries:
        message.advertisements.add(address=address, rssi=rssi, address_type=kind, data=data)
    return RAW_ADVERTISEMENTS, message.SerializeToString()
