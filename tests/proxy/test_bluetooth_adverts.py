"""Advertisements as bytes, and what becomes of them when a client is slow."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.ble.advert import Advert, Content
from renogybt.proxy import messages
from renogybt.proxy.bluetooth_adverts import BATCH, LEGACY, QUEUE, RAW_ADVERTISEMENTS, Batches, shortest, structures
from renogybt.proxy.plain import Plain
from tests.proxy.test_session import Wire, session

BASE = "-0000-1000-8000-00805f9b34fb"
NOTHING = Content(None, (), {}, {}, None, b"")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (NOTHING, ""),
        (NOTHING._replace(flags=b"\x06"), "020106"),
        (NOTHING._replace(name="RNG"), "0409524e47"),
        (NOTHING._replace(name="ä" * 40), "3309" + "c3a4" * 25),
        (NOTHING._replace(tx_power=-21), "020aeb"),
        (NOTHING._replace(manufacturer={0x004C: b"\x10\x05"}), "05ff4c001005"),
        (NOTHING._replace(manufacturer={1: b"", 2: b"\x03"}), "03ff0100" + "04ff020003"),
        (NOTHING._replace(uuids=(f"0000ffd0{BASE}", f"0000180a{BASE}")), "0503d0ff0a18"),
        (NOTHING._replace(uuids=(f"12345678{BASE}",)), "050578563412"),
        (
            NOTHING._replace(uuids=("f000ffd0-0451-4000-b000-000000000001",)),
            "1107" + "01000000000000b000405104d0ff00f0",
        ),
        (NOTHING._replace(service_data={f"0000fe95{BASE}": b"\x30"}), "041695fe30"),
        (NOTHING._replace(service_data={f"12345678{BASE}": b"\x30"}), "06207856341230"),
        (NOTHING._replace(uuids=tuple(f"{n:08x}{BASE}" for n in range(40))), None),
        (NOTHING._replace(manufacturer={1: bytes(200)}, name="long"), "cbff0100" + "00" * 200 + "05096c6f6e67"),
    ],
)
def test_structures(content: Content, expected: str | None) -> None:
    made = structures(content)
    if expected is not None:
        assert made.hex() == expected
    else:
        assert made[:2] == bytes((1 + 2 * 30, 0x02))
        assert len(made) == LEGACY


def test_what_does_not_fit_is_left_out_whole() -> None:
    companies = {number: bytes(20) for number in range(4)}
    content = NOTHING._replace(flags=b"\x06", manufacturer=companies, name="sensor")
    parts = parsed(structures(content))
    assert [kind for kind, _ in parts] == [0x01, 0xFF, 0xFF, 0x09]
    assert parts[-1] == (0x09, b"sensor")


UUIDS = st.one_of(st.uuids().map(str), st.integers(0, 0xFFFFFFFF).map(lambda number: f"{number:08x}{BASE}"))


@given(
    st.builds(
        Content,
        st.none() | st.text(max_size=80),
        st.lists(UUIDS, max_size=20).map(tuple),
        st.dictionaries(UUIDS, st.binary(max_size=260), max_size=4),
        st.dictionaries(st.integers(0, 0xFFFF), st.binary(max_size=260), max_size=4),
        st.none() | st.integers(-127, 127),
        st.binary(max_size=2),
    )
)
def test_whatever_is_said_can_be_read_again(content: Content) -> None:
    made = structures(content)
    assert len(made) <= 255
    for kind, data in parsed(made):
        if kind == 0xFF:
            said = content.manufacturer[int.from_bytes(data[:2], "little")]
            assert data[2:] == said[: 254 - 2]
        elif kind in (0x16, 0x20, 0x21):
            size = {0x16: 2, 0x20: 4, 0x21: 16}[kind]
            given_data = [said for uuid, said in content.service_data.items() if shortest(uuid) == data[:size]]
            assert any(said.startswith(data[size:]) for said in given_data)
        elif kind in (0x08, 0x09):
            assert (content.name or "").encode().startswith(data)
            data.decode()


def parsed(data: bytes) -> list[tuple[int, bytes]]:
    found = []
    while data:
        size = data[0]
        assert 1 <= size < len(data) + 1
        assert len(data) > size
        found.append((data[1], data[2 : 1 + size]))
        data = data[1 + size :]
    return found


def advert(number: int) -> Advert:
    return Advert(
        "AA:BB:CC:00:00:01", True, -40 - number % 50, NOTHING._replace(manufacturer={1: number.to_bytes(2, "big")})
    )


def numbers(wire: Wire) -> list[int]:
    found = []
    for kind, content in Plain().feed(bytes(wire.written)).packets:
        if kind == RAW_ADVERTISEMENTS:
            message = messages.opened(kind, content)
            assert len(message.advertisements) <= BATCH
            found += [int.from_bytes(each.data[-2:], "big") for each in message.advertisements]
    return found


def test_batches_are_full_or_a_tenth_of_a_second_old() -> None:
    async def work() -> None:
        batches, (client, wire) = Batches(), session()
        batches.add(client)
        for number in range(BATCH - 1):
            batches.hear(advert(number))
        assert wire.writes == 0
        batches.hear(advert(BATCH - 1))
        assert wire.writes == 1
        batches.hear(advert(BATCH))
        await asyncio.sleep(0.2)
        assert numbers(wire) == list(range(BATCH + 1))
        assert wire.writes == 2
        assert batches.sent == BATCH + 1

    asyncio.run(work())


def test_a_slow_client_misses_the_oldest_and_holds_up_nobody() -> None:
    async def work() -> None:
        batches, (slow, wire), (quick, other) = Batches(), session(), session()
        batches.add(slow)
        batches.add(quick)
        wire.waiting = 1 << 20
        for number in range(320):
            batches.hear(advert(number))
        assert numbers(other) == list(range(320))
        assert numbers(wire) == []
        assert batches.dropped == slow.lost_advertisements == 320 - QUEUE
        assert quick.lost_advertisements == 0
        wire.waiting = 0
        await asyncio.sleep(0.2)
        batches.hear(advert(320))
        await asyncio.sleep(0.2)
        assert numbers(wire) == list(range(320 - QUEUE, 321))
        assert batches.dropped == 320 - QUEUE

    asyncio.run(work())


def test_a_client_that_left_gets_nothing() -> None:
    async def work() -> None:
        batches, (client, wire) = Batches(), session()
        batches.add(client)
        batches.hear(advert(1))
        batches.remove(client)
        await asyncio.sleep(0.2)
        assert wire.writes == 0

    asyncio.run(work())


def test_an_advertisement_says_whose_it_is() -> None:
    async def work() -> None:
        batches, (client, wire) = Batches(), session()
        batches.add(client)
        batches.hear(advert(7)._replace(rssi=-99))
        batches.hear(Advert("not-an-address", False, -1, NOTHING))
        batches.hear(advert(7)._replace(random=False, rssi=5))
        await asyncio.sleep(0.2)
        (packet,) = Plain().feed(bytes(wire.written)).packets
        first, second = messages.opened(*packet).advertisements
        assert (first.address, first.rssi, first.address_type) == (0xAABBCC000001, -99, 1)
        assert (second.rssi, second.address_type) == (5, 0)

    asyncio.run(work())
