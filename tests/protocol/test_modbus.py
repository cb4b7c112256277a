"""Framing: what is an answer to a request, and what must never pass for one."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.errors import BadFrame, Refused
from renogybt.protocol.modbus import (
    UNIVERSAL,
    Request,
    crc16,
    explain,
    find_answer,
    intact,
    parse_request,
    payload_of,
    read,
    sealed,
    write,
    write_many,
)
from tests.frames import named, of_kind

REPLIES = [frame for frame in of_kind("read_reply") if frame["crc_ok"]]
DAMAGED = [frame for frame in of_kind("read_reply") if not frame["crc_ok"]]
WRITTEN = of_kind("write_reply", "write_multi_reply")


def ids(frames):
    return [frame["id"] for frame in frames]


def request_of(frame) -> Request:
    return parse_request(bytes.fromhex(frame["request"]))


def answer_of(frame) -> bytes:
    return bytes.fromhex(frame["response"])


def arriving(request: Request, data: bytes, size: int) -> tuple[bytes | None, int]:
    """What a link would take for the answer when `data` comes in pieces, and after how many bytes."""
    for end in range(size, len(data) + size, size):
        if (found := find_answer(request, data[:end])) is not None:
            return found, min(end, len(data))
    return None, len(data)


# Requests


@pytest.mark.parametrize(
    ("body", "check"),
    [("ff0301000022", "d1f1"), ("ff0301000007", "102a"), ("300313b20007", "a48a"), ("208302", "90fb")],
)
def test_checksum(body, check):
    assert crc16(bytes.fromhex(body)).hex() == check
    assert intact(bytes.fromhex(body + check))


def test_read_request():
    request = read(255, 256, 34)
    assert request.frame.hex() == "ff0301000022d1f1"
    assert request.answer_size == 73


@pytest.mark.parametrize("words", [0, -1, 126])
def test_read_asks_for_1_to_125_words(words):
    with pytest.raises(ValueError, match="1 to 125 words"):
        read(1, 0, words)


def test_write_requests():
    assert write(1, 0x010A, 1).frame.hex() == "0106010a000169f4"
    stages = bytes.fromhex("000400640000004b0004003200000019")
    assert write_many(1, 0xE015, stages).frame.hex() == "0110e0150008100004006400000" + "04b0004003200000019957f"
    with pytest.raises(ValueError, match="whole words"):
        write_many(1, 0xE015, b"\x00")


@pytest.mark.parametrize("frame", [f for f in REPLIES + WRITTEN if f["request"]], ids=lambda f: f["id"])
def test_captured_requests_parse(frame):
    request = request_of(frame)
    assert request.unit == frame["address"]
    if frame["register"] is not None:
        assert (request.register, request.words) == (frame["register"], frame["words"])
        assert read(request.unit, request.register, request.words) == request


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("", "short"),
        ("ff030100", "short"),
        ("ff0301000022d1f2", "crc"),
        (sealed(b"\x01\x78\x00\x00\x00\x01").hex(), "function"),
    ],
)
def test_what_is_no_request(frame, reason):
    with pytest.raises(BadFrame) as caught:
        parse_request(bytes.fromhex(frame))
    assert caught.value.reason == reason


# Answers as they were captured


@pytest.mark.parametrize("frame", REPLIES, ids=lambda f: f["id"])
def test_reply_is_accepted_whole_and_in_pieces(frame):
    request, answer = request_of(frame), answer_of(frame)
    assert payload_of(request, answer) == answer[3:-2]
    for size in (*range(1, 24), len(answer)):
        assert arriving(request, answer, size) == (answer, len(answer)), f"pieces of {size} bytes"


@pytest.mark.parametrize("frame", REPLIES, ids=lambda f: f["id"])
def test_reply_is_found_behind_junk(frame):
    request, answer = request_of(frame), answer_of(frame)
    junk = random.Random(frame["id"]).randbytes(37)
    for prefix in (b"\x00", junk, answer[:-1], b"\xff\x03", bytes((request.unit, 3, 2 * request.words))):
        assert find_answer(request, prefix + answer) == answer
        found, _ = arriving(request, prefix + answer, 20)
        assert found == answer


@pytest.mark.parametrize("frame", REPLIES, ids=lambda f: f["id"])
def test_every_damaged_bit_is_noticed(frame):
    request, answer = request_of(frame), answer_of(frame)
    for at in range(len(answer)):
        damaged = bytearray(answer)
        damaged[at] ^= 1 << at % 8
        assert find_answer(request, bytes(damaged)) is None
        with pytest.raises((BadFrame, Refused)):
            payload_of(request, bytes(damaged))


@pytest.mark.parametrize("frame", DAMAGED, ids=lambda f: f["id"])
def test_captured_damage_is_refused(frame):
    request, answer = request_of(frame), answer_of(frame)
    assert find_answer(request, answer) is None
    assert explain(request, answer).reason == "crc"
    with pytest.raises(BadFrame) as caught:
        payload_of(request, answer)
    assert caught.value.reason == "crc"


@pytest.mark.parametrize("frame", of_kind("invalid"), ids=lambda f: f["id"])
def test_invalid_frames_are_refused_for_their_reason(frame):
    request = request_of(frame) if frame["request"] else read(48, 5042, 6)
    answer = answer_of(frame)
    assert find_answer(request, answer) is None
    with pytest.raises(BadFrame) as caught:
        payload_of(request, answer)
    assert caught.value.reason == frame["expected"]["error"]


@pytest.mark.parametrize("frame", REPLIES[:6], ids=lambda f: f["id"])
def test_a_short_frame_is_an_error_and_never_zero(frame):
    request, answer = request_of(frame), answer_of(frame)
    for end in range(len(answer)):
        with pytest.raises(BadFrame) as caught:
            payload_of(request, answer[:end])
        assert caught.value.reason == "short"


@pytest.mark.parametrize("frame", of_kind("exception"), ids=lambda f: f["id"])
def test_exceptions_are_answers(frame):
    told, answer = frame["expected"], answer_of(frame)
    body = bytes.fromhex(frame["request"])[:-2]
    request = parse_request(sealed(body))  # one was captured with its checksum swapped
    assert find_answer(request, answer) == answer
    with pytest.raises(Refused) as caught:
        payload_of(request, answer)
    refused = caught.value
    assert (refused.unit, refused.function, refused.code) == (told["device_id"], told["function"], told["exception_code"])
    assert refused.MEANINGS[refused.code] in str(refused)


@pytest.mark.parametrize("frame", WRITTEN, ids=lambda f: f["id"])
def test_acknowledgements(frame):
    request, answer, told = request_of(frame), answer_of(frame), frame["expected"]
    assert find_answer(request, answer) == answer
    assert arriving(request, b"\x00\x01" + answer, 3) == (answer, len(answer) + 2)
    data = payload_of(request, answer)
    assert int.from_bytes(data[:2], "big") == told["register"]
    assert int.from_bytes(data[2:], "big") == told.get("value", told.get("words"))


def test_an_acknowledgement_of_another_value_is_none():
    request = write(1, 0x010A, 1)
    other = write(1, 0x010A, 0).frame
    assert find_answer(request, other) is None
    with pytest.raises(BadFrame) as caught:
        payload_of(request, other)
    assert caught.value.reason == "length"


# Whose answer it is


def test_unit_255_may_be_answered_under_another_address():
    request = read(UNIVERSAL, 0, 1)
    answer = sealed(bytes.fromhex("30030212a4"))
    assert find_answer(request, answer) == answer
    assert payload_of(request, answer) == bytes.fromhex("12a4")


def test_any_other_unit_answers_for_itself():
    request = read(48, 5042, 6)
    foreign = sealed(bytes((49, 3, 12)) + bytes(12))
    assert find_answer(request, foreign) is None
    assert explain(request, foreign).reason == "address"


def test_an_answer_to_another_master_is_passed_over():
    request, answer = request_of(named("hub-30")), answer_of(named("hub-30"))
    foreign = sealed(bytes((0x31, 3, 12)) + bytes(12))
    other_block = sealed(bytes((0x30, 3, 68)) + bytes(68))
    assert find_answer(request, foreign + other_block + answer + foreign) == answer


def test_a_late_answer_of_another_length_is_none():
    request = read(48, 5042, 6)
    late = answer_of(named("rbt100bt-cells"))
    assert find_answer(request, late) is None
    assert explain(request, late).reason == "length"


def test_the_last_of_several_sound_answers_counts():
    request = read(1, 257, 1)
    first, last = sealed(bytes.fromhex("010302007a")), sealed(bytes.fromhex("010302007b"))
    assert find_answer(request, first + last) == last


def test_answer_longer_than_due():
    request, answer = request_of(named("hub-30")), answer_of(named("hub-30"))
    with pytest.raises(BadFrame) as caught:
        payload_of(request, answer + b"\x00")
    assert caught.value.reason == "length"


def test_answer_of_another_function():
    request = read(1, 257, 1)
    with pytest.raises(BadFrame) as caught:
        payload_of(request, write(1, 257, 1).frame)
    assert caught.value.reason == "function"


def test_a_wrong_byte_count_is_refused_even_with_a_good_checksum():
    request = read(1, 257, 1)
    with pytest.raises(BadFrame) as caught:
        payload_of(request, sealed(bytes.fromhex("010304007b")))
    assert caught.value.reason == "length"


def test_explaining_silence_and_noise():
    request = read(48, 5042, 6)
    assert explain(request, b"") is None
    assert explain(request, b"main recv data").reason == "function"
    assert explain(request, answer_of(named("hub-30"))[:9]).reason == "short"


# Any bytes at all

REQUESTS = st.one_of(
    st.builds(read, st.integers(1, 255), st.integers(0, 0xFFFF), st.integers(1, 125)),
    st.builds(write, st.integers(1, 247), st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
)


@given(REQUESTS, st.binary(max_size=300))
def test_no_bytes_crash_or_pass_without_a_checksum(request, heard):
    found = find_answer(request, heard)
    if found is not None:
        assert intact(found)
        assert found in heard
        assert request.unit in (found[0], UNIVERSAL)
    explain(request, heard)
    try:
        data = payload_of(request, heard)
    except (BadFrame, Refused):
        return
    assert intact(heard)
    assert len(data) == (2 * request.words if request.function == 3 else 4)


@given(st.integers(1, 247), st.integers(1, 125), st.data())
def test_a_sound_answer_is_found_wherever_it_stands(unit, words, data):
    payload = data.draw(st.binary(min_size=2 * words, max_size=2 * words))
    before, after = data.draw(st.binary(max_size=40)), data.draw(st.binary(max_size=40))
    request = read(unit, 0x0100, words)
    answer = sealed(bytes((unit, 3, 2 * words)) + payload)
    found = find_answer(request, before + answer + after)
    assert found is not None
    if found != answer:  # chance put another sound one behind it
        assert intact(found)
        assert len(found) == len(answer) or found[1] & 0x80
    assert payload_of(request, answer) == payload


@given(st.binary(min_size=8, max_size=64))
def test_parsing_any_bytes_as_a_request(frame):
    try:
        request = parse_request(frame)
    except BadFrame:
        assert not intact(frame) or frame[1] not in (3, 6, 16)
        return
    assert intact(frame)
    assert request.frame == frame
