"""The simulated modules, asked through real bleak."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bleak.exc import BleakError

from tests.peers.bluez import scenarios
from tests.peers.bluez.client import PATIENCE, Radio, characteristic, run, talk, until
from tests.peers.bluez.scenario import Module
from tests.peers.bluez.slave import crc, refusal, sealed

CELLS = "300313880022"


def test_the_checksum_agrees_with_captured_frames() -> None:
    frames = [
        scenarios.captured(name)
        for name in ("rvr40-dynamic", "rbt50-30-pack", "exc-crc", "write-multi-voltages-correct-request")
    ]
    for frame in frames:
        raw = bytes.fromhex(frame["response"])
        assert crc(raw[:-2]) == raw[-2:]


def test_an_answer_comes_in_pieces_and_is_the_captured_frame(radio: Radio) -> None:
    fake = radio(scenarios.controller(notify_size=20))

    async def work() -> None:
        async with talk(scenarios.CONTROLLER) as link:
            frame = scenarios.captured("rvr40-dynamic")
            answer = await link.ask(frame["request"][:-4], 73)
            assert answer.hex() == frame["response"]
            assert [len(piece) for piece in link.pieces] == [20, 20, 20, 13]
            assert [entry["address"] for entry in fake.connections()] == [scenarios.CONTROLLER]

    run(work())
    assert fake.connections() == []
    assert fake.sessions() == []
    [frame] = fake.frames()
    assert frame["hex"] == scenarios.captured("rvr40-dynamic")["request"]
    assert frame["answer"] == scenarios.captured("rvr40-dynamic")["response"]


@pytest.mark.parametrize(
    ("module", "address", "request_hex", "expected"),
    [
        (scenarios.controller(), scenarios.CONTROLLER, "ff03000c0008", "rvr40-model"),
        (scenarios.controller(), scenarios.CONTROLLER, "ff03001a0001", "rvr40-address"),
        (scenarios.controller(), scenarios.CONTROLLER, "ff03f003000a", "history-day-3"),
        (scenarios.dcdc(), scenarios.DCDC, "ff0301200007", "dcc50s-status"),
        (scenarios.riv4835(), scenarios.RIV4835, "20030fa0000a", "riv4835-main"),
        (scenarios.riv4835(), scenarios.RIV4835, "200311380006", "riv4835-load"),
    ],
)
def test_families_answer_with_captured_words(
    radio: Radio, module: Module, address: str, request_hex: str, expected: str
) -> None:
    radio(module)

    async def work() -> str:
        async with talk(address) as link:
            wanted = scenarios.captured(expected)["response"]
            return (await link.ask(request_hex, len(wanted) // 2)).hex()

    assert run(work()) == scenarios.captured(expected)["response"]


def test_four_batteries_on_one_module_differ(radio: Radio) -> None:
    radio(scenarios.batteries())

    async def work() -> list[bytes]:
        async with talk(scenarios.BATTERIES) as link:
            return [await link.ask(f"{unit:02x}0313b20007", 19) for unit in (48, 49, 50, 51)]

    answers = run(work())
    assert [answer[0] for answer in answers] == [48, 49, 50, 51]
    currents = [int.from_bytes(answer[3:5], "big", signed=True) for answer in answers]
    assert currents == [326, 298, -475, 0]
    assert [int.from_bytes(answer[7:11], "big") for answer in answers] == [87412, 91003, 64250, 100000]


@pytest.mark.parametrize("span", ["13880023", "13ab0012", "13ec002a", "14500018", "13f0001c"])
def test_a_battery_answers_inside_its_spans(radio: Radio, span: str) -> None:
    radio(scenarios.batteries())

    async def work() -> bytes:
        async with talk(scenarios.BATTERIES) as link:
            return await link.ask(f"3003{span}", 5 + 2 * int(span[4:], 16))

    answer = run(work())
    assert len(answer) == 5 + 2 * int(span[4:], 16)
    assert crc(answer[:-2]) == answer[-2:]


def test_a_battery_refuses_to_leave_a_span_and_keeps_its_id_when_asked_as_255(radio: Radio) -> None:
    radio(scenarios.batteries(scenarios.PACKS[0]))

    async def work() -> list[bytes]:
        async with talk(scenarios.BATTERIES) as link:
            return [await link.ask("300313880024", 5), await link.ask("ff0300000001", 5), await link.ask("ff0314020008", 21)]

    crossing, elsewhere, model = run(work())
    assert crossing == elsewhere == refusal(48, 3, 2)
    assert model[0] == 48
    assert model[3:-2].decode() == "RBT100LFP12S-G1 "


def test_several_units_answering_255_collide(radio: Radio) -> None:
    radio(scenarios.batteries())

    async def work() -> bytes:
        async with talk(scenarios.BATTERIES) as link:
            return await link.ask("ff0313b20006", 17)

    answer = run(work())
    assert len(answer) == 17
    assert crc(answer[:-2]) != answer[-2:]


def test_the_pro_has_wrong_characteristics_first(radio: Radio) -> None:
    radio(scenarios.pro_battery())

    async def work() -> bytes:
        async with talk(scenarios.PRO) as link:
            same = [char for service in link.client.services for char in service.characteristics if "ffd1" in char.uuid[:8]]
            same.sort(key=lambda char: char.handle)
            assert len(same) > 2
            assert "write" not in same[0].properties
            with pytest.raises(BleakError):
                link.client.services.get_characteristic(same[0].uuid)
            with pytest.raises(BleakError):
                await link.client.write_gatt_char(same[0], b"\0" * 8, response=False)
            return await link.ask("300313b20007", 19)

    assert run(work()).hex() == scenarios.captured("rngrbp-pack")["response"]


def test_an_inverter_is_deaf_until_woken(radio: Radio) -> None:
    radio(scenarios.inverter())

    async def work() -> None:
        async with talk(scenarios.INVERTER) as link:
            assert await link.ask("20030fa0000a", 25, 0.2) == b""
            await link.client.read_gatt_char(characteristic(link.client, 0xFFD0, 0xFFD4, "read"))
            assert (await link.ask("20030fa0000a", 25)).hex() == scenarios.captured("riv1220-main")["response"]
        async with talk(scenarios.INVERTER) as link:
            assert await link.ask("20030fa0000a", 25, 0.2) == b""

    run(work())


@pytest.mark.parametrize(
    ("module", "address", "silent", "answered", "length"),
    [
        (scenarios.dcdc(g6=True), scenarios.DCDC, "ff0301200003", "ff0301000022", 73),
        (scenarios.riv4835(), scenarios.RIV4835, "200310d70008", "200310e70007", 19),
        (scenarios.batteries(), scenarios.BATTERIES, "340313b20006", "330313b20006", 17),
    ],
)
def test_some_stay_silent(radio: Radio, module: Module, address: str, silent: str, answered: str, length: int) -> None:
    radio(module)

    async def work() -> None:
        async with talk(address) as link:
            assert await link.ask(silent, 5, 0.2) == b""
            assert len(await link.ask(answered, length)) == length

    run(work())


def test_the_shunt_streams_blocks_in_pieces(radio: Radio) -> None:
    quick = scenarios.shunt()
    assert quick.stream is not None
    quick.stream.interval_s = 0.02
    radio(quick)

    async def work() -> tuple[bytes, set[int]]:
        async with talk(scenarios.SHUNT, service=0xC011, number=0xC411) as link:
            got = await link.wait(110 * 4)
            return got, {len(piece) for piece in link.pieces}

    got, sizes = run(work())
    order = ("shunt-made-live", "shunt-history-only", "shunt-prefixed")
    assert got.startswith(b"".join(bytes.fromhex(scenarios.captured(name)["response"]) for name in order))
    assert max(sizes) == 20


def test_mixed_families_share_a_module(radio: Radio) -> None:
    radio(scenarios.mixed_hub())

    async def work() -> list[bytes]:
        async with talk(scenarios.HUB) as link:
            asked = [("600301000022", 73), ("30031402000a", 25), ("31031402000a", 25)]
            return [await link.ask(body, length) for body, length in asked]

    controller, first, second = run(work())
    assert (controller[0], first[0], second[0]) == (96, 48, 49)
    assert controller[3:-2].hex() == scenarios.captured("rvr40-dynamic")["response"][6:-4]


def test_writes_are_stored_and_read_back(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> list[bytes]:
        async with talk(scenarios.CONTROLLER) as link:
            return [
                await link.ask("1006010a0001", 8),
                await link.ask("1010e0050002040099009a", 8),
                await link.ask("1003e0050002", 9),
                await link.ask("100301200001", 7),
                await link.ask("100622220001", 5),
                await link.ask("107800000001", 5),
            ]

    one, many, read, load, outside, unknown = run(work())
    assert one == sealed(bytes.fromhex("1006010a0001"))
    assert many == sealed(bytes.fromhex("1010e0050002"))
    assert read[3:-2].hex() == "0099009a"
    assert load[3] & 0x80
    assert outside == refusal(16, 6, 2)
    assert unknown == refusal(16, 0x78, 1)
    assert fake.registers(scenarios.CONTROLLER, 16)[0xE005] == 0x99


def test_registers_can_be_changed_while_running(radio: Radio) -> None:
    fake = radio(scenarios.batteries())

    async def work() -> bytes:
        async with talk(scenarios.BATTERIES) as link:
            fake.registers(scenarios.BATTERIES, 49, {5042: -100, 5043: 0x1234})
            return await link.ask("310313b20002", 9)

    assert run(work())[3:-2].hex() == "ff9c1234"


_GOOD = "300313b20002"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("silent", None, lambda good: b""),
        ("corrupt_crc", None, lambda good: good[:-2] + bytes(byte ^ 0xFF for byte in good[-2:])),
        ("wrong_unit", 49, lambda good: sealed(b"\x31" + good[1:-2])),
        ("exception", 4, lambda good: refusal(48, 3, 4)),
        ("junk", "a1b2", lambda good: b"\xa1\xb2" + good),
        ("truncate", 6, lambda good: good[:6]),
        ("repeat", None, lambda good: good + good),
        ("delay", 0.05, lambda good: good),
    ],
)
def test_quirks_spoil_as_often_as_said(radio: Radio, kind: str, value: Any, expected: Any) -> None:
    fake = radio(scenarios.batteries())

    async def work() -> list[bytes]:
        async with talk(scenarios.BATTERIES) as link:
            good = await link.ask(_GOOD, 9)
            fake.quirk(scenarios.BATTERIES, 48, kind, value, times=1, skip=1)
            passed = await link.ask(_GOOD, 9)
            length = len(expected(good))
            spoiled = await (link.ask(_GOOD, length) if length else link.ask(_GOOD, 1, 0.3))
            return [good, passed, spoiled, await link.ask(_GOOD, 9)]

    good, passed, spoiled, after = run(work())
    assert good == passed == after
    assert spoiled == expected(good)


def test_a_late_answer_arrives_among_the_next(radio: Radio) -> None:
    fake = radio(scenarios.batteries())

    async def work() -> bytes:
        async with talk(scenarios.BATTERIES) as link:
            fake.quirk(scenarios.BATTERIES, 48, "late", 2.0, times=1)
            await link.write("3003138b0001")
            await link.write("300313b30001")
            return await link.wait(14)

    both = run(work())
    late, quick = fake.frames()
    assert late["done"] - late["t"] >= 1.99
    assert quick["done"] < late["done"]
    assert both == sealed(bytes.fromhex("3003020085")) + sealed(bytes.fromhex("3003020022"))


def test_probability_hits_some_of_the_answers(radio: Radio) -> None:
    fake = radio(scenarios.batteries())
    fake.quirk(scenarios.BATTERIES, None, "corrupt_crc", probability=0.5)

    async def work() -> int:
        async with talk(scenarios.BATTERIES) as link:
            answers = [await link.ask(_GOOD, 9) for _ in range(60)]
            return sum(crc(answer[:-2]) == answer[-2:] for answer in answers)

    assert 10 < run(work()) < 50


def test_a_drop_quirk_breaks_the_link(radio: Radio) -> None:
    fake = radio(scenarios.batteries())
    fake.quirk(scenarios.BATTERIES, 48, "drop", skip=2, times=1)

    async def work() -> list[int]:
        async with talk(scenarios.BATTERIES) as link:
            lengths = [len(await link.ask(_GOOD, 9, most)) for most in (PATIENCE, PATIENCE, 0.2)]
            await until(lambda: not link.client.is_connected)
            return lengths

    assert run(work()) == [9, 9, 0]
    assert [event["why"] for event in fake.events("disconnected")] == ["dropped"]


def test_an_odd_acknowledgement(radio: Radio) -> None:
    fake = radio(scenarios.controller())
    fake.quirk(scenarios.CONTROLLER, 16, "ack_register", 0x0100)

    async def work() -> bytes:
        async with talk(scenarios.CONTROLLER) as link:
            return await link.ask("1006010a0001", 8)

    assert run(work()) == sealed(bytes.fromhex("100601000001"))


def test_a_request_with_a_wrong_checksum_is_refused(radio: Radio) -> None:
    radio(scenarios.controller())

    async def work() -> bytes:
        async with talk(scenarios.CONTROLLER) as link:
            target = characteristic(link.client, 0xFFD0, 0xFFD1, "write")
            await link.client.write_gatt_char(target, bytes.fromhex("ff03010000072a10"), response=False)
            return await link.wait(5)

    assert run(work()).hex() == scenarios.captured("exc-crc")["response"]


def test_the_line_is_a_queue_and_takes_its_time(radio: Radio) -> None:
    fake = radio(scenarios.batteries(**scenarios.WIRE))

    async def work() -> tuple[bytes, list[float]]:
        async with talk(scenarios.BATTERIES) as link:
            begin = time.monotonic()
            await link.write(CELLS)
            await link.write("310313b20006")
            got = await link.wait(73 + 17)
            return got, [begin, time.monotonic()]

    got, (begin, end) = run(work())
    assert (got[0], got[73]) == (48, 49)
    first, second = fake.frames()
    wire = 0.080 + 2 * 0.020 + (8 + 73 + 8 + 17) * 0.00104
    assert end - begin >= wire
    assert begin < first["done"] < second["done"] <= end
    assert first["done"] - first["t"] >= 0.080 + 0.020 + 81 * 0.00104 - 0.001


def test_bytes_can_be_injected(radio: Radio) -> None:
    fake = radio(scenarios.controller())

    async def work() -> bytes:
        async with talk(scenarios.CONTROLLER) as link:
            fake.notify(scenarios.CONTROLLER, bytes(range(50)))
            return await link.wait(50)

    assert run(work()) == bytes(range(50))
