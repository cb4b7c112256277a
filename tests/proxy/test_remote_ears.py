"""What a proxy hears, kept within bounds."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from renogybt.proxy.bluetooth_numbers import address_of, number_of
from renogybt.proxy.remote_ears import MOST, Ears, name_in


def heard(address: int, data: bytes = b"", rssi: int = -60, kind: int = 0) -> SimpleNamespace:
    return SimpleNamespace(address=address, rssi=rssi, address_type=kind, data=data)


def test_a_name_is_found_among_other_things() -> None:
    assert name_in(bytes.fromhex("020106") + b"\x09\x09BT-TH-1 ") == "BT-TH-1"
    assert name_in(b"\x04\x08RNG" + bytes.fromhex("03ffe102")) == "RNG"
    assert name_in(b"\x05\x09RNG") == ""  # cut off
    assert name_in(bytes.fromhex("0000020106")) == ""


@given(st.binary(max_size=62))
def test_nothing_on_the_air_breaks_it(data: bytes) -> None:
    assert isinstance(name_in(data), str)


def test_the_last_advertisement_counts_and_the_name_stays() -> None:
    ears = Ears()
    ears.take([heard(1, b"\x04\x09RNG", -70, 1)], 10.0)
    ears.take([heard(1, b"", -50, 1), heard(2)], 11.0)
    known = ears.known[1]
    assert (known.at, known.rssi, known.address_type, known.name) == (11.0, -50, 1, "RNG")
    assert ears.named("RNG", 11.0) == 1
    assert ears.named("RNG", 11.5) is None
    assert set(ears.others(0.0, 1)) == {2}


def test_the_crowd_is_forgotten_and_our_own_are_not() -> None:
    ears = Ears()
    ears.keep.add(7)
    ears.take([heard(7)], 0.0)
    for turn in range(1, 3 * MOST):
        ears.take([heard(100 + turn)], float(turn))
    assert len(ears.known) == MOST
    assert 7 in ears.known
    assert 100 + 3 * MOST - 1 in ears.known


@given(st.integers(0, 2**48 - 1))
def test_addresses_and_their_numbers(number: int) -> None:
    assert number_of(address_of(number)) == number
    assert len(address_of(number)) == 17
