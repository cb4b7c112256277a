"""Frames, plain and encrypted, byte for byte. The other side is the Noise library, or bytes as the firmware sends them."""

from __future__ import annotations

from binascii import a2b_base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise.connection import NoiseConnection

from renogybt.proxy.encrypted import HANDSHAKE_LIMIT, Encrypted, framed
from renogybt.proxy.plain import LIMIT, PROTOCOL, Framing, Packet, Plain, varint
from tests.proxy.given import KEY, OTHER_KEY

PSK = a2b_base64(KEY)
NAME, MAC = "renogy-bridge", "aabbccddeeff"
PING = (7, b"")
packets = st.lists(st.tuples(st.integers(1, 300), st.binary(max_size=300)), max_size=6)


class Initiator:
    """The client's side of an encrypted connection."""

    def __init__(self, key: str = KEY, prologue: bytes = b"NoiseAPIInit\x00\x00") -> None:
        self.noise = NoiseConnection.from_name(PROTOCOL.encode())
        self.noise.set_as_initiator()
        self.noise.set_psks(a2b_base64(key))
        self.noise.set_prologue(prologue)
        self.noise.start_handshake()

    def opening(self) -> bytes:
        return framed(b"") + framed(b"\x00" + bytes(self.noise.write_message()))

    def take(self, reply: bytes) -> bytes:
        """Finish the handshake; returns the greeting."""
        greeting, answer = bodies(reply)
        assert answer[:1] == b"\x00"
        self.noise.read_message(answer[1:])
        return greeting

    def encode(self, sent: list[Packet]) -> bytes:
        return b"".join(framed(self.noise.encrypt(n.to_bytes(2, "big") + len(c).to_bytes(2, "big") + c)) for n, c in sent)


def bodies(stream: bytes) -> list[bytes]:
    found = []
    while stream:
        assert stream[0] == 1
        end = 3 + int.from_bytes(stream[1:3], "big")
        found.append(stream[3:end])
        stream = stream[end:]
    return found


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def agreed() -> tuple[Encrypted, Initiator]:
    """Two sides that have shaken hands."""
    server, client = Encrypted(PSK, NAME, MAC), Initiator()
    client.take(server.feed(client.opening()).reply)
    return server, client


def test_an_empty_message_is_three_bytes() -> None:
    assert Plain().encode([PING]) == b"\x00\x00\x07"
    assert Plain().feed(b"\x00\x00\x07").packets == [PING]


def test_several_messages_in_one_read() -> None:
    stream = b"\x00\x00\x07" + b"\x00\x02\x01\x08\x01" + b"\x00\x03\x96\x01abc"
    assert Plain().feed(stream).packets == [PING, (1, b"\x08\x01"), (150, b"abc")]


@given(packets, st.lists(st.integers(0, 5000), max_size=8))
def test_plain_frames_survive_any_cut(sent: list[Packet], cuts: list[int]) -> None:
    side, heard = Plain(), []
    for piece in pieces(Plain().encode(sent), cuts):
        fed = side.feed(piece)
        assert (fed.reply, fed.fault) == (b"", "")
        heard += fed.packets
    assert heard == sent


def test_a_head_byte_by_byte() -> None:
    """A length of two bytes and a number of two bytes, each cut."""
    side, content = Plain(), b"x" * 200
    stream = Plain().encode([(300, content)])
    assert stream[:5] == b"\x00\xc8\x01\xac\x02"
    fed = [side.feed(stream[n : n + 1]) for n in range(len(stream))]
    assert [one.packets for one in fed[:-1]] == [[]] * (len(stream) - 1)
    assert fed[-1].packets == [(300, content)]


@given(packets, st.lists(st.integers(0, 5000), max_size=8))
def test_encrypted_frames_survive_any_cut(sent: list[Packet], cuts: list[int]) -> None:
    server, client, heard = Encrypted(PSK, NAME, MAC), Initiator(), []
    replies = b"".join(server.feed(piece).reply for piece in pieces(client.opening(), cuts))
    assert client.take(replies) == b"\x01renogy-bridge\x00aabbccddeeff\x00"
    assert server.ready
    for piece in pieces(client.encode(sent), cuts):
        fed = server.feed(piece)
        assert (fed.reply, fed.fault) == (b"", "")
        heard += fed.packets
    assert heard == sent
    back = [client.noise.decrypt(body) for body in bodies(server.encode(sent))]
    assert back == [n.to_bytes(2, "big") + len(c).to_bytes(2, "big") + c for n, c in sent]


def test_the_greeting_comes_before_the_key_is_checked() -> None:
    """Home Assistant recognises the node by it, and then asks for the key."""
    server = Encrypted(PSK, NAME, MAC)
    assert server.feed(framed(b"")).reply == framed(b"\x01renogy-bridge\x00aabbccddeeff\x00")
    assert not server.ready


def test_a_longer_hello_belongs_to_the_handshake() -> None:
    server, client = Encrypted(PSK, NAME, MAC), Initiator(prologue=b"NoiseAPIInit\x00\x03abc")
    stream = framed(b"abc") + client.opening()[3:]
    client.take(server.feed(stream).reply)
    assert server.feed(client.encode([PING])).packets == [PING]


@pytest.mark.parametrize("key", [OTHER_KEY, "A" * 43 + "="])
def test_a_wrong_key_is_refused_in_the_words_home_assistant_knows(key: str) -> None:
    fed = Encrypted(PSK, NAME, MAC).feed(Initiator(key).opening())
    assert bodies(fed.reply)[1] == b"\x01Handshake MAC failure"
    assert "another encryption_key" in fed.fault


def test_a_plain_client_is_told_that_it_must_encrypt() -> None:
    fed = Encrypted(PSK, NAME, MAC).feed(b"\x00\x00\x07")
    assert bodies(fed.reply) == [b"\x01Bad indicator byte"]
    assert "does not encrypt" in fed.fault


def test_an_encrypting_client_is_told_that_there_is_no_key() -> None:
    fed = Plain().feed(Initiator().opening())
    assert fed.reply.startswith(b"\x00Bad")
    assert "has no encryption_key" in fed.fault


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", b"\x01Empty handshake message"),
        (b"\x01" + b"x" * 48, b"\x01Bad handshake error byte"),
        (b"\x00" + b"x" * 20, b"\x01Handshake error"),
        (b"\x00" + b"x" * 48, b"\x01Handshake MAC failure"),
    ],
)
def test_a_bad_handshake_is_refused(body: bytes, words: bytes) -> None:
    fed = Encrypted(PSK, NAME, MAC).feed(framed(b"") + framed(body))
    assert bodies(fed.reply)[1] == words
    assert fed.fault


def test_a_handshake_is_never_long() -> None:
    head = b"\x01" + (HANDSHAKE_LIMIT + 1).to_bytes(2, "big")
    assert bodies(Encrypted(PSK, NAME, MAC).feed(head).reply) == [b"\x01Bad handshake packet len"]


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"\x00" + varint(LIMIT + 1) + b"\x07", "more than 32768"),
        (b"\x00\xff\xff\xff\xff\x7f\x07", "too long"),
        (b"\x00\x01\xff\xff\xff\xff\x7f", "too long"),
        (b"GET / HTTP/1.1\r\n", "does not speak"),
    ],
)
def test_a_plain_frame_that_is_none(stream: bytes, words: str) -> None:
    side = Plain()
    fed = side.feed(b"\x00\x00\x07" + stream)
    assert fed.packets == [PING]
    assert words in fed.fault
    after = side.feed(b"\x00\x00\x07")
    assert (after.packets, after.fault) == ([], fed.fault)


def test_the_largest_message_is_taken() -> None:
    content = b"x" * LIMIT
    assert Plain().feed(Plain().encode([(76, content)])).packets == [(76, content)]
    server, client = agreed()
    assert server.feed(client.encode([(76, content)])).packets == [(76, content)]
    assert "announced" in server.feed(client.encode([(76, content + b"x")])).fault


@pytest.mark.parametrize(
    ("inner", "words"),
    [(b"", "shorter"), (b"\x00\x07\x00", "shorter"), (b"\x00\x07\x00\x05abc", "shorter")],
)
def test_an_encrypted_message_that_is_shorter_than_it_says(inner: bytes, words: str) -> None:
    server, client = agreed()
    fed = server.feed(framed(client.noise.encrypt(inner)))
    assert words in fed.fault
    assert fed.reply == b""


def test_a_changed_or_repeated_frame_is_not_taken() -> None:
    server, client = agreed()
    frame = client.encode([PING])
    assert server.feed(frame).packets == [PING]
    assert "as agreed" in server.feed(frame).fault
    server, client = agreed()
    frame = bytearray(client.encode([PING]))
    frame[-1] ^= 1
    assert "as agreed" in server.feed(bytes(frame)).fault


anything = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=200).map(framed),
    st.binary(max_size=60).map(lambda body: framed(b"\x00" + body)),
    st.tuples(st.integers(0, 400), st.binary(max_size=200)).map(lambda one: Plain().encode([one])),
)


@given(st.lists(anything, max_size=8), st.sampled_from(["plain", "hello", "agreed"]))
def test_any_bytes_are_taken_or_refused(stream: list[bytes], kind: str) -> None:
    """No bytes raise, and none are kept without bound."""
    side: Framing = {"plain": Plain, "hello": lambda: Encrypted(PSK, NAME, MAC), "agreed": lambda: agreed()[0]}[kind]()
    fault = ""
    for piece in stream:
        fed = side.feed(piece)
        assert not fault or (fed.fault, fed.packets, fed.reply) == (fault, [], b"")
        fault = fed.fault
