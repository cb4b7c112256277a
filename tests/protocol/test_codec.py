"""Codecs: bytes to values and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.protocol.codec import (
    BYTE_TEMPERATURE,
    CENTI,
    DECI,
    MILLI32,
    S_CENTI,
    S_DECI,
    U8,
    U16,
    U32,
    Bit,
    Choice,
    Codec,
    Flags,
    MaybeSwapped,
    NotZero,
    Number,
    Pairs,
    Part,
    Split,
    Text,
    Version,
)

WORDS = {0: "none", 2: "two", 5: "five"}
CASES = [
    (U8, "ff", 255),
    (U16, "8000", 32768),
    (U32, "00010190", 65936),
    (DECI, "0090", 14.4),
    (CENTI, "0004", 0.04),
    (S_DECI, "fff6", -1.0),
    (S_CENTI, "ffaa", -0.86),
    (MILLI32, "00017bb0", 97.2),
    (Number(3, signed=True, per=1000), "ffddf1", -8.719),
    (Number(signed=True, per=10, absent=0x8000), "8000", None),
    (Number(absent=0xFFFF), "ffff", None),
    (BYTE_TEMPERATURE, "81", -1),
    (BYTE_TEMPERATURE, "8b", -11),
    (BYTE_TEMPERATURE, "80", 0),
    (BYTE_TEMPERATURE, "19", 25),
    (Choice(WORDS), "0005", "five"),
    (Choice(WORDS), "0009", "unknown (9)"),
    (Choice(WORDS, absent=0xFFFF), "ffff", None),
    (Choice({0: "off", 1: "on"}, size=1, shift=7), "e4", "on"),
    (Choice({0: "off", 1: "on"}, size=1, shift=7), "64", "off"),
    (Part(0x7F, size=1), "e4", 100),
    (Bit(2), "0006", True),
    (Bit(0), "0006", False),
    (NotZero(), "0002", True),
    (NotZero(absent=0xFFFF), "ffff", None),
    (Flags({1: "low", 0: "high"}), "0003", ["low", "high"]),
    (Flags({0: "high"}), "8001", ["high", "unknown (bit 15)"]),
    (Flags({0: "high"}, others=True), "8001", ["high"]),
    (Pairs(), "000000aa", [2, 2, 2, 2] + 12 * [0]),
    (Text(16), "2020524e472d4354524c2d5256523430", "RNG-CTRL-RVR40"),
    (Text(4), "00ff8000", None),
    (Version(), "00030201", "V03.02.01"),
    (Split(1000, 10, 1000), "0022", 3.4),
    (Split(1000, 10, 1000), "0d48", 3.4),
    (MaybeSwapped(), "0c00", 12),
    (MaybeSwapped(), "0c01", 3073),
    (MaybeSwapped(), "0006", 6),
]


@pytest.mark.parametrize(("codec", "data", "value"), CASES, ids=lambda case: str(case))
def test_decoding(codec, data, value):
    decoded = codec.decode(bytes.fromhex(data))
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize("codec", [codec for codec, _, _ in CASES], ids=str)
def test_a_wrong_size_raises(codec):
    assert isinstance(codec, Codec)
    for size in (0, codec.size - 1, codec.size + 1):
        if size >= 0 and size != codec.size:
            with pytest.raises(ValueError, match="are due"):
                codec.decode(bytes(size))


@given(st.sampled_from([case[0] for case in CASES]), st.data())
def test_any_bytes_decode_and_survive_the_way_back(codec, data):
    raw = data.draw(st.binary(min_size=codec.size, max_size=codec.size))
    value = codec.decode(raw)
    unnamed = isinstance(value, str) and value.startswith("unknown (")
    if unnamed or (isinstance(codec, Split) and int.from_bytes(raw, "big") >= codec.limit):
        return  # neither is ever written
    again = codec.encode(value, raw)
    assert len(again) == codec.size
    assert codec.decode(again) == value


@given(st.integers(0, 0xFF), st.sampled_from(["off", "on"]), st.integers(0, 100))
def test_rows_that_share_a_byte_leave_each_other_alone(byte, switch, level):
    status, brightness = Choice({0: "off", 1: "on"}, size=1, shift=7), Part(0x7F, size=1)
    data = brightness.encode(level, status.encode(switch, bytes((byte,))))
    assert (status.decode(data), brightness.decode(data)) == (switch, level)
    data = status.encode(switch, brightness.encode(level, bytes((byte,))))
    assert (status.decode(data), brightness.decode(data)) == (switch, level)


def test_a_bit_leaves_the_others_alone():
    assert Bit(1).encode(True, b"\x80\x04") == b"\x80\x06"
    assert Bit(2).encode(False, b"\x80\x06") == b"\x80\x02"
    assert Flags({0: "a", 3: "b"}, others=True).encode(["b"], b"\x00\x81") == b"\x00\x88"


def test_what_cannot_be_written_raises():
    with pytest.raises(ValueError, match="none of none, two, five"):
        Choice(WORDS).encode("three", bytes(2))
    with pytest.raises(OverflowError):
        U16.encode(70000, bytes(2))


def test_resolution():
    assert [codec.decimals for codec in (U16, DECI, CENTI, MILLI32, BYTE_TEMPERATURE)] == [0, 1, 2, 3, 0]
    assert Choice(WORDS).decimals is None
    assert Choice({1: "a", 2: "b", 3: "a"}).options == ["a", "b"]
