"""The server's side of ESPHome's framing, with what aioesphomeapi has for it; apart from the bridge's own server."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

from aioesphomeapi._frame_helper.packets import make_plain_text_packets
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from cryptography.exceptions import InvalidTag
from noise.connection import NoiseConnection

NUMBERS = {kind: number for number, kind in MESSAGE_TYPE_TO_PROTO.items()}


class Hangup(Exception):
    """The connection is to be closed, after `last` was sent."""

    def __init__(self, last: bytes = b"") -> None:
        super().__init__("hung up")
        self.last = last


class Plain:
    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> tuple[list[Any], bytes]:
        """Messages, and what is to be answered at once. Raises `Hangup`."""
        self._buffer += data
        found = []
        while self._buffer:
            if self._buffer[0] != 0:
                raise Hangup(b"\x00Bad indicator byte")
            try:
                length, at = _varint(self._buffer, 1)
                number, at = _varint(self._buffer, at)
            except IndexError:
                break
            if len(self._buffer) < at + length:
                break
            found.append(MESSAGE_TYPE_TO_PROTO[number].FromString(self._buffer[at : at + length]))
            self._buffer = self._buffer[at + length :]
        return found, b""

    def packed(self, message: Any) -> bytes:
        return b"".join(make_plain_text_packets([(NUMBERS[type(message)], message.SerializeToString())]))


class Noise:
    def __init__(self, key: str, name: str) -> None:
        self._key, self._name, self._buffer, self._step = b64decode(key), name, b"", 0
        self._noise = NoiseConnection.from_name(b"Noise_NNpsk0_25519_ChaChaPoly_SHA256")

    def feed(self, data: bytes) -> tuple[list[Any], bytes]:
        self._buffer += data
        found, answer = [], b""
        for body in self._bodies():
            if self._step == 0:
                self._noise.set_as_responder()
                self._noise.set_psks(self._key)
                self._noise.set_prologue(b"NoiseAPIInit" + len(body).to_bytes(2, "big") + body)
                self._noise.start_handshake()
                answer += _framed(b"\x01" + self._name.encode() + b"\0" + b"aabbccddeeff\0")
            elif self._step == 1:
                try:
                    self._noise.read_message(body[1:])
                except InvalidTag:
                    raise Hangup(answer + _framed(b"\x01Handshake MAC failure")) from None
                answer += _framed(b"\0" + bytes(self._noise.write_message()))
            else:
                inner = bytes(self._noise.decrypt(body))
                found.append(MESSAGE_TYPE_TO_PROTO[int.from_bytes(inner[:2], "big")].FromString(inner[4:]))
            self._step += 1
        return found, answer

    def packed(self, message: Any) -> bytes:
        content = message.SerializeToString()
        head = NUMBERS[type(message)].to_bytes(2, "big") + len(content).to_bytes(2, "big")
        return _framed(bytes(self._noise.encrypt(head + content)))

    def _bodies(self) -> Iterator[bytes]:
        while self._buffer:
            if self._buffer[0] != 1:
                raise Hangup(_framed(b"\x01Bad indicator byte"))
            if len(self._buffer) < 3 or len(self._buffer) < 3 + int.from_bytes(self._buffer[1:3], "big"):
                return
            end = 3 + int.from_bytes(self._buffer[1:3], "big")
            body, self._buffer = self._buffer[3:end], self._buffer[end:]
            yield body


def _framed(body: bytes) -> bytes:
    return b"\x01" + len(body).to_bytes(2, "big") + body


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if byte < 0x80:
            return value, at
