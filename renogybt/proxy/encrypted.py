"""Frames of the ESPHome native API with encryption (Noise, pattern NNpsk0): bytes in, messages out, no socket in sight."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from cryptography.exceptions import InvalidTag
from noise.connection import NoiseConnection
from noise.exceptions import NoiseInvalidMessage, NoiseValueError

from renogybt.proxy.plain import BAD_INDICATOR, ENCRYPTED, LIMIT, PLAIN, PROTOCOL, Fed, Malformed, Packet

PROLOGUE = b"NoiseAPIInit"
HEAD = 3
TAG = 16
INNER_HEAD = 4
HANDSHAKE_LIMIT = 128
WRONG_KEY = "Handshake MAC failure"
"""To the letter: from these words Home Assistant knows that it must ask its user for the key."""
REFUSED, ACCEPTED = b"\x01", b"\x00"


class Stage(Enum):
    """What is expected next."""

    HELLO = "hello"
    HANDSHAKE = "handshake"
    DATA = "data"


class Encrypted:
    """Frames of `01 | length (2 bytes) | body`. `psk` is the key; `name` and `mac` (12 digits) are told in clear."""

    def __init__(self, psk: bytes, name: str, mac: str) -> None:
        self._psk = psk
        self._greeting = b"\x01" + name.encode() + b"\x00" + mac.encode() + b"\x00"
        self._buffer = bytearray()
        self._stage, self._fault = Stage.HELLO, ""
        self._noise = NoiseConnection.from_name(PROTOCOL.encode())

    @property
    def ready(self) -> bool:
        return self._stage is Stage.DATA and not self._fault

    def feed(self, data: bytes) -> Fed:
        packets: list[Packet] = []
        replies = bytearray()
        if not self._fault:
            self._buffer += data
            try:
                while (body := self._body()) is not None:
                    self._take(body, packets, replies)
            except Malformed as error:
                self._fault = str(error)
                replies += error.reply
                self._buffer.clear()
        return Fed(packets, bytes(replies), self._fault)

    def encode(self, packets: Iterable[Packet]) -> bytes:
        out = bytearray()
        for number, content in packets:
            inner = number.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content
            out += framed(self._noise.encrypt(inner))
        return bytes(out)

    def _body(self) -> bytes | None:
        """The next frame without its head, None while a part of it is missing. Raises `Malformed`."""
        buffer = self._buffer
        if buffer and buffer[0] != ENCRYPTED:
            raise self._refusal(_stranger(buffer[0]), BAD_INDICATOR)
        if len(buffer) < HEAD:
            return None
        length = int.from_bytes(buffer[1:HEAD], "big")
        if length > (LIMIT + TAG + INNER_HEAD if self._stage is Stage.DATA else HANDSHAKE_LIMIT):
            raise self._refusal(f"it announced a frame of {length} bytes", "Bad handshake packet len")
        if len(buffer) < HEAD + length:
            return None
        body = bytes(buffer[HEAD : HEAD + length])
        del buffer[: HEAD + length]
        return body

    def _take(self, body: bytes, packets: list[Packet], replies: bytearray) -> None:
        if self._stage is Stage.DATA:
            packets.append(self._opened(body))
        elif self._stage is Stage.HELLO:
            self._start(body)
            replies += framed(self._greeting)
        else:
            replies += framed(ACCEPTED + self._shake_hands(body))

    def _start(self, hello: bytes) -> None:
        noise = self._noise
        noise.set_as_responder()
        noise.set_psks(self._psk)
        noise.set_prologue(PROLOGUE + len(hello).to_bytes(2, "big") + hello)
        noise.start_handshake()
        self._stage = Stage.HANDSHAKE

    def _shake_hands(self, body: bytes) -> bytes:
        """The answer to the client's half of the handshake. Raises `Malformed`."""
        if not body:
            raise self._refusal("its handshake is empty", "Empty handshake message")
        if body[:1] != ACCEPTED:
            raise self._refusal("its handshake begins with an error", "Bad handshake error byte")
        try:
            self._noise.read_message(body[1:])
            answer = bytes(self._noise.write_message())
        except InvalidTag as error:
            raise self._refusal("it has another encryption_key than this bridge", WRONG_KEY) from error
        except (ValueError, NoiseValueError) as error:  # too short, or no point of the curve
            raise self._refusal(f"its handshake cannot be used ({error})", "Handshake error") from error
        self._stage = Stage.DATA
        return answer

    def _opened(self, body: bytes) -> Packet:
        try:
            inner = bytes(self._noise.decrypt(body))
        except NoiseInvalidMessage as error:
            raise Malformed("a message was not encrypted as agreed") from error
        number, length = int.from_bytes(inner[:2], "big"), int.from_bytes(inner[2:INNER_HEAD], "big")
        if len(inner) < INNER_HEAD or length > len(inner) - INNER_HEAD:
            raise Malformed("a message is shorter than it says")
        return number, inner[INNER_HEAD : INNER_HEAD + length]

    def _refusal(self, why: str, words: str) -> Malformed:
        """During the handshake the client is told the reason, afterwards the connection just ends."""
        return Malformed(why, b"" if self._stage is Stage.DATA else framed(REFUSED + words.encode()))


def framed(body: bytes) -> bytes:
    return bytes([ENCRYPTED]) + len(body).to_bytes(2, "big") + body


def _stranger(byte: int) -> str:
    if byte == PLAIN:
        return "it does not encrypt, but this bridge has an encryption_key; give it that key"
    return f"it does not speak the ESPHome native API (first byte {byte:#04x})"
