"""What a client may say when, and when it is given up. The time is an argument, so nothing here waits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renogybt.proxy import messages
from renogybt.proxy.encrypted import Encrypted
from renogybt.proxy.plain import Framing, Packet, Plain
from renogybt.proxy.session import BACKLOG_LIMIT, INTRODUCTION, LEAVE, LOSSY_LIMIT, QUIET, SILENT, STUCK, UNANSWERED, Session
from tests.proxy.test_frames import MAC, PSK, Initiator

START = 1000.0


class Wire:
    """A connection whose other end takes as much as the test says."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.writes = 0
        self.waiting = 0
        self.stuck = False
        self.closed = self.aborted = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.written += data
        self.writes += 1
        self.waiting += len(data) if self.stuck else 0

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def get_write_buffer_size(self) -> int:
        return self.waiting


class Radio:
    """A Bluetooth proxy that notes what it is told."""

    flags, mac = 97, "AA:BB:CC:00:00:01"

    def __init__(self) -> None:
        self.heard: list[tuple[int, Any]] = []
        self.closed: list[Session] = []

    def handle(self, session: Session, number: int, message: Any) -> None:
        self.heard.append((number, message))

    def on_session_closed(self, session: Session) -> None:
        self.closed.append(session)


class House:
    """What a session needs of a node."""

    name, server_info = "renogy-bridge", "test"

    def __init__(self, proxy: Radio | None = None) -> None:
        self.proxy = proxy

    def device_info(self) -> Packet:
        return messages.packet(messages.DEVICE_INFO_ANSWER, name=self.name)

    def entity_list(self, flat: bool) -> tuple[int, list[Packet]]:
        return 3, [messages.packet(messages.SENSOR, key=5, name="roof Power" if flat else "Power")]

    def all_states(self) -> list[Packet]:
        return [messages.packet(messages.SENSOR_STATE, key=5, state=1.5)]


def session(proxy: Radio | None = None, framing: Framing | None = None) -> tuple[Session, Wire]:
    wire = Wire()
    return Session(House(proxy), framing or Plain(), wire, "127.0.0.1", START), wire


def said(wire: Wire) -> list[str]:
    """The names of the messages written so far."""
    return [messages.classes()[number].DESCRIPTOR.name for number, _ in Plain().feed(bytes(wire.written)).packets]


def request(*numbers: int, **fields: Any) -> bytes:
    return Plain().encode([messages.packet(number, **fields) for number in numbers])


def greeted(proxy: Radio | None = None) -> tuple[Session, Wire]:
    one, wire = session(proxy)
    one.feed(request(messages.HELLO), START)
    wire.written.clear()
    return one, wire


def test_greeting_and_login_in_one_packet_are_answered_in_one() -> None:
    one, wire = session()
    one.feed(request(messages.HELLO, client_info="Home Assistant") + request(messages.LOGIN, password="x"), START)
    assert said(wire) == ["HelloResponse", "AuthenticationResponse"]
    assert wire.writes == 1
    assert one.client == "Home Assistant"
    (_, content), _ = Plain().feed(bytes(wire.written)).packets
    answer = messages.opened(messages.HELLO_ANSWER, content)
    assert (answer.api_version_major, answer.api_version_minor, answer.name) == (1, 14, "renogy-bridge")


@pytest.mark.parametrize("number", [n for n in messages.classes() if n not in (1, 5, 6, 7, 8)])
def test_nothing_is_answered_before_the_greeting(number: int) -> None:
    radio = Radio()
    one, wire = session(radio)
    one.feed(request(number), START)
    assert wire.written == b""
    assert wire.closed
    assert one.fault == f"it sent message {number} before a greeting"
    assert radio.heard == []


def test_ping_and_goodbye_need_no_greeting() -> None:
    one, wire = session()
    one.feed(request(messages.PING, messages.DISCONNECT), START)
    assert said(wire) == ["PingResponse", "DisconnectResponse"]
    assert (wire.closed, one.fault) == (True, "")


def test_device_info_needs_no_login() -> None:
    """Home Assistant asks for it while it is being set up, and then leaves."""
    one, wire = greeted()
    one.feed(request(messages.DEVICE_INFO), START)
    assert said(wire) == ["DeviceInfoResponse"]


def test_list_and_states() -> None:
    one, wire = greeted()
    one.feed(request(messages.DEVICE_INFO, messages.LIST_ENTITIES), START)
    assert said(wire) == ["DeviceInfoResponse", "ListEntitiesSensorResponse", "ListEntitiesDoneResponse"]
    assert (one.listed, one.wants_states) == (3, False)
    wire.written.clear()
    one.feed(request(messages.SUBSCRIBE_STATES), START)
    assert said(wire) == ["SensorStateResponse"]
    assert one.wants_states


@pytest.mark.parametrize(
    ("client", "name"),
    [
        ("Home Assistant 2024.3.3", "roof Power"),
        ("Home Assistant 2025.6.0b1", "roof Power"),
        ("Home Assistant 2025.7.0", "Power"),
        ("Home Assistant 2026.11.0", "Power"),
        ("Home Assistant", "Power"),
        ("aioesphomeapi", "Power"),
        ("", "Power"),
    ],
)
def test_only_a_home_assistant_that_knows_sub_devices_gets_short_names(client: str, name: str) -> None:
    one, wire = session()
    one.feed(request(messages.HELLO, client_info=client), START)
    wire.written.clear()
    one.feed(request(messages.LIST_ENTITIES), START)
    (number, content), _ = Plain().feed(bytes(wire.written)).packets
    assert messages.opened(number, content).name == name


@pytest.mark.parametrize("number", [34, 38, 89, 60000])
def test_what_does_not_concern_us_does_no_harm(number: int) -> None:
    one, wire = greeted()
    one.feed(Plain().encode([(number, b"")]), START)
    assert (wire.written, wire.closed) == (b"", False)


def test_time_and_keys() -> None:
    one, wire = greeted()
    one.feed(request(messages.GET_TIME) + request(messages.SET_KEY, key=b"x" * 32), START)
    assert said(wire) == ["GetTimeResponse", "NoiseEncryptionSetKeyResponse"]


def test_who_asks_for_the_log_is_told_where_it_is() -> None:
    one, wire = greeted()
    one.feed(request(messages.SUBSCRIBE_LOGS, level=5), START)
    ((number, content),) = Plain().feed(bytes(wire.written)).packets
    assert number == messages.LOG
    assert b"journalctl" in messages.opened(number, content).message


def test_a_request_that_this_aioesphomeapi_does_not_know_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {number: kind for number, kind in messages.classes().items() if number != 145}
    radio = Radio()
    one, wire = greeted(radio)
    with monkeypatch.context() as older:
        older.setattr(messages, "classes", lambda: known)
        one.feed(Plain().encode([(145, b"\x08\x05")]) + request(messages.PING), START)
    assert said(wire) == ["PingResponse"]
    assert radio.heard == []


def test_a_message_that_cannot_be_read_ends_the_session() -> None:
    one, wire = greeted()
    one.feed(Plain().encode([(messages.HELLO, b"\xff\xff")]) + request(messages.PING), START)
    assert one.fault == "its message 1 cannot be read"
    assert (wire.written, wire.closed) == (b"", True)


def test_the_proxy_hears_what_concerns_it() -> None:
    radio = Radio()
    one, _ = greeted(radio)
    one.feed(request(messages.SUBSCRIBE_CONNECTIONS_FREE) + request(messages.SUBSCRIBE_ADVERTISEMENTS, flags=1), START)
    assert [number for number, _ in radio.heard] == [80, 66]
    assert (one.advertisements, one.wants_connections_free) == (1, True)
    one.feed(request(messages.UNSUBSCRIBE_ADVERTISEMENTS) + request(68, address=5, request_type=4), START)
    assert one.advertisements is None
    assert radio.heard[-1][1].address == 5
    one.gone()
    assert radio.closed == [one]


def test_a_client_that_never_greeted_is_no_matter_of_the_proxy() -> None:
    radio = Radio()
    one, _ = session(radio)
    one.gone()
    assert radio.closed == []


def test_without_a_proxy_such_requests_do_no_harm() -> None:
    one, wire = greeted()
    one.feed(b"".join(request(number) for number in sorted(messages.BLUETOOTH)), START)
    assert (wire.written, wire.closed) == (b"", False)


def test_a_client_that_does_not_introduce_itself() -> None:
    one, wire = session()
    one.tick(START + INTRODUCTION - 1)
    assert not wire.closed
    one.tick(START + INTRODUCTION)
    assert wire.aborted
    assert "introduce" in one.fault


def test_a_quiet_client_is_pinged_and_a_silent_one_given_up() -> None:
    one, wire = greeted()
    for second in range(int(SILENT)):
        one.tick(START + second)
        assert not wire.closed
        if second == QUIET:
            assert said(wire) == ["PingRequest"]
    assert 2 <= len(said(wire)) <= 4
    one.tick(START + SILENT)
    assert wire.aborted
    assert "silent" in one.fault


def test_a_client_that_answers_pings_stays() -> None:
    one, wire = greeted()
    for second in range(1000):
        one.tick(START + second)
        if said(wire)[-1:] == ["PingRequest"]:
            wire.written.clear()
            one.feed(request(messages.PONG), START + second)
    assert not wire.closed


def test_who_gives_way_to_another_client() -> None:
    mute, _ = session()
    assert mute.gives_way(START)
    one, _ = greeted()
    for at in range(0, int(UNANSWERED), 5):
        one.tick(START + at)
        assert not one.gives_way(START + at)
    one.feed(request(messages.PONG), START + UNANSWERED - 1)
    assert not one.gives_way(START + UNANSWERED)
    assert one.gives_way(START + 2 * UNANSWERED)
    one.end("")
    assert not one.gives_way(START + 2 * UNANSWERED)


def test_a_client_that_takes_nothing_is_given_up() -> None:
    one, wire = greeted()
    wire.stuck = True
    for second in range(int(STUCK) + 1):
        one.feed(request(messages.PING), START + second)
        one.tick(START + second)
        assert wire.aborted is (second == STUCK)
    assert "took nothing" in one.fault


def test_a_slow_client_that_takes_something_stays() -> None:
    one, wire = greeted()
    wire.stuck = True
    for second in range(300):
        one.feed(request(messages.PING), START + second)
        wire.waiting -= second % 10 == 0
        one.tick(START + second)
    assert not wire.closed


def test_what_waits_for_a_client_is_bounded() -> None:
    one, wire = greeted()
    wire.stuck = True
    news = messages.packet(messages.TEXT_SENSOR_STATE, key=1, state="x" * 200)
    while not wire.closed:
        one.send(news)
    assert BACKLOG_LIMIT < wire.waiting < BACKLOG_LIMIT + 300
    assert wire.aborted
    one.send(news)


def test_advertisements_are_left_out_long_before() -> None:
    one, wire = greeted()
    wire.stuck = True
    sent = [one.send_lossy((93, b"x" * 1000)) for _ in range(100)]
    assert wire.waiting < LOSSY_LIMIT + 1100
    assert sent == [True] * (100 - one.lost_advertisements) + [False] * one.lost_advertisements
    assert one.lost_advertisements > 20
    wire.waiting = 0
    assert one.send_lossy((93, b"x"))


def test_our_goodbye() -> None:
    one, wire = greeted()
    one.farewell(START)
    one.farewell(START)
    assert said(wire) == ["DisconnectRequest"]
    assert not wire.closed
    one.feed(request(messages.DISCONNECT_ANSWER), START)
    assert (wire.closed, one.fault) == (True, "")


def test_a_goodbye_that_is_not_answered() -> None:
    one, wire = greeted()
    one.farewell(START)
    one.tick(START + LEAVE - 1)
    assert not wire.closed
    one.tick(START + LEAVE)
    assert wire.aborted


def test_an_ended_session_is_cut_off_when_its_last_bytes_do_not_go() -> None:
    one, wire = greeted()
    one.feed(request(messages.DISCONNECT), START)
    assert (wire.closed, wire.aborted) == (True, False)
    one.tick(START + 1)
    assert not wire.aborted
    one.tick(START + 1 + LEAVE)
    assert (wire.aborted, one.fault) == (True, "")


def test_nothing_is_sent_before_the_handshake() -> None:
    one, wire = session(framing=Encrypted(PSK, "n", MAC))
    one.send(messages.packet(messages.PING))
    one.tick(START + 5)
    assert wire.written == b""
    one.farewell(START)
    assert wire.closed


numbers = st.one_of(st.sampled_from(sorted(messages.classes())), st.integers(0, 70000))
contents = st.one_of(st.just(b""), st.binary(max_size=60))
streams = st.lists(
    st.one_of(st.tuples(numbers, contents).map(lambda one: Plain().encode([one])), st.binary(max_size=30)), max_size=10
)


@given(st.booleans(), streams, st.lists(st.floats(0, 400), max_size=5))
def test_no_stream_breaks_a_session(polite: bool, stream: list[bytes], waits: list[float]) -> None:
    radio, now = Radio(), START
    one, wire = greeted(radio) if polite else session(radio)
    for piece in stream:
        one.feed(piece, now)
    for wait in waits:
        now += wait
        one.tick(now)
    assert one.ended is wire.closed
    if not one.greeted:
        assert set(said(wire)) <= {"PingResponse", "DisconnectResponse"}
        assert radio.heard == []


@given(st.lists(st.binary(max_size=120), max_size=6), st.booleans())
def test_no_stream_breaks_an_encrypted_session(stream: list[bytes], agreed: bool) -> None:
    one, wire = session(framing=Encrypted(PSK, "n", MAC))
    client = Initiator()
    if agreed:
        one.feed(client.opening(), START)
        client.take(bytes(wire.written))
    for piece in stream:
        one.feed(client.encode([(piece[0], piece[1:])]) if agreed and len(piece) % 2 else piece, START)
    one.tick(START + 1000)
    assert wire.closed
