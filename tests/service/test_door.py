"""The local socket: real callers, good ones and bad ones."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import select
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renogybt.command import Command
from renogybt.service import door as door_module
from renogybt.service.door import LONGEST_LINE, MOST_CALLERS, Door, place, reachable
from renogybt.settings import Data, Settings


class Main:
    """Stands for the main loop: takes commands from the queue and answers them in a thread of its own."""

    def __init__(self, answer: Callable[[Command], dict[str, Any] | None]) -> None:
        self.heard: list[Command] = []
        self._inbox: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._answer = answer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def command(self, command: Command) -> None:
        self._inbox.put(command)

    def _run(self) -> None:
        while (command := self._inbox.get()) is not None:
            self.heard.append(command)
            said = self._answer(command)
            assert command.answer
            if said is not None:
                command.answer(said)

    def stop(self) -> None:
        self._inbox.put(None)
        self._thread.join(30)


def echo(command: Command) -> dict[str, Any]:
    return {"ok": True, "text": f"{command.do} {command.device} {command.minutes:g}"}


@contextmanager
def opened(path: Path, answer: Callable[[Command], dict[str, Any] | None] = echo) -> Iterator[tuple[Door, Main]]:
    main = Main(answer)
    door = Door(path, main.command)
    door.start()
    try:
        yield door, main
    finally:
        assert door.stop(30)
        main.stop()


def call(path: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(60)
    with reachable(path) as address:
        line.connect(address)
    return line


def said(line: socket.socket) -> dict[str, Any]:
    """What the door answers, which must be one line and the end of the conversation."""
    heard = b""
    try:
        while piece := line.recv(65536):
            heard += piece
    except ConnectionResetError:
        pass  # the door closed while there was more to read for it
    assert heard.count(b"\n") == 1, heard
    assert heard.endswith(b"\n")
    return dict(json.loads(heard))


def asked(path: Path, *pieces: bytes) -> dict[str, Any]:
    with call(path) as line:
        for piece in pieces:
            line.sendall(piece)
        return said(line)


def test_it_lies_beside_the_configuration_or_where_that_says() -> None:
    assert place(Settings(folder="/etc/solar", file="roof.ini")) == Path("/etc/solar/roof.ini.sock")
    assert place(Settings(folder="/etc/solar", file="roof.ini", data=Data(control_socket="/run/x"))) == Path("/run/x")
    assert place(Settings()) is None


def test_a_command_goes_in_and_the_answer_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "config.ini.sock"
    with opened(path) as (_, main):
        assert asked(path, b'{"do": "release", "device": "hub", "minutes": 7.5}\n') == {
            "ok": True,
            "text": "release hub 7.5",
        }
        assert asked(path, b'{"do": "status"}\n')["text"] == "status  10"
        assert asked(path, b'{"do"', b': "resume", "device"', b': "r\xc3\xb6ver"}\nand more')["text"] == "resume röver 10"
        assert [command.do for command in main.heard] == ["release", "status", "resume"]


def test_without_a_line_break_the_end_will_do(tmp_path: Path) -> None:
    with opened(tmp_path / "s"), call(tmp_path / "s") as line:
        line.sendall(b'{"do": "status"}')
        line.shutdown(socket.SHUT_WR)
        assert said(line)["ok"]


def test_group_may_use_it_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0o077, 0o000):
        before = os.umask(umask)
        try:
            with opened(tmp_path / "s"):
                found = (tmp_path / "s").stat().st_mode
        finally:
            os.umask(before)
        assert stat.S_ISSOCK(found)
        assert stat.S_IMODE(found) == 0o660


def test_callers_do_not_wait_for_each_other(tmp_path: Path) -> None:
    path, hold = tmp_path / "s", threading.Event()

    def slowly(command: Command) -> dict[str, Any] | None:
        if command.device == "slow":

            def later() -> None:
                hold.wait(60)
                assert command.answer
                command.answer({"ok": True, "text": "at last"})

            threading.Thread(target=later, daemon=True).start()
            return None
        return echo(command)

    with opened(path, slowly), call(path) as silent, call(path) as slow:
        slow.sendall(b'{"do": "release", "device": "slow"}\n')
        silent.sendall(b'{"do": ')
        for number in range(MOST_CALLERS - 2):
            assert asked(path, b'{"do": "resume", "device": "%d"}\n' % number)["text"] == f"resume {number} 10"
        hold.set()
        assert said(slow)["text"] == "at last"


def test_too_many_are_told_so_and_the_others_served(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with opened(path):
        lines = [call(path) for _ in range(MOST_CALLERS)]
        with call(path) as last:
            assert said(last) == {"ok": False, "text": "too many at once; try again in a moment"}
        for line in lines:
            line.sendall(b'{"do": "status"}\n')
        assert all(said(line)["ok"] for line in lines)
        for line in lines:
            line.close()
        assert asked(path, b'{"do": "status"}\n')["ok"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (b"\n", "not understood"),
        (b"hello\n", "not understood"),
        (b"[]\n", "object"),
        (b"{}\n", "do"),
        (b'{"do": "reboot"}\n', "reboot"),
        (b'{"do": "release", "device": 7}\n', "$.device"),
        (b'{"do": "release", "minutes": "ten"}\n', "$.minutes"),
        (b'{"do": "release", "minutes": NaN}\n', "not understood"),
        (b'{"do": "release", "hours": 1}\n', "hours"),
        (b'{"do": "\xff"}\n', "not understood"),
        (b'{"do": "release", "device": "\\ud800"}\n', "not understood"),
        (b'{"x": ' + b"[" * 4000 + b"\n", "not understood"),
        (b"GET / HTTP/1.1\r\n\r\n", "not understood"),
        (b"x" * (LONGEST_LINE + 1), f"{LONGEST_LINE} bytes"),
        (b"x" * 500_000, f"{LONGEST_LINE} bytes"),
    ],
)
def test_garbage_is_refused_with_a_reason(tmp_path: Path, text: bytes, word: str) -> None:
    path = tmp_path / "s"
    with opened(path) as (_, main):
        with call(path) as line:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the door has heard enough
                line.sendall(text)
            answer = said(line)
        assert answer["ok"] is False
        assert word in answer["text"]
        assert main.heard == []
        assert asked(path, b'{"do": "status"}\n')["ok"]


def test_no_garbage_harms_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    started = threading.active_count()
    with opened(path) as (door, _):

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            pieces=st.lists(
                st.binary(max_size=6000) | st.sampled_from([b'{"do": "status"', b', "device": "', b'"', b"}\n"]), max_size=5
            ),
            how=st.sampled_from(["listen", "half", "leave"]),
        )
        def attack(pieces: list[bytes], how: str) -> None:
            with call(path) as line:
                try:
                    for piece in pieces:
                        line.sendall(piece)
                    line.sendall(b"\n")
                    if how == "half":
                        line.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                if how != "leave":
                    assert isinstance(said(line)["ok"], bool)

        before = len(os.listdir("/proc/self/fd"))
        attack()
        assert asked(path, b'{"do": "status"}\n')["ok"]
        end = time.monotonic() + 30
        while len(os.listdir("/proc/self/fd")) > before and time.monotonic() < end:
            time.sleep(0.02)
        assert len(os.listdir("/proc/self/fd")) <= before
        assert threading.active_count() <= started + 2
        assert door.alive


def test_who_says_nothing_and_who_gets_no_answer_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "PATIENCE", 0.3)
    monkeypatch.setattr(door_module, "ANSWER_LIMIT", 0.6)
    path, answers = tmp_path / "s", list[Any]()

    def never(command: Command) -> None:
        answers.append(command.answer)

    with opened(path, never):
        began = time.monotonic()
        with call(path) as silent:
            assert "nothing was asked" in said(silent)["text"]
        assert 0.25 < time.monotonic() - began < 30
        monkeypatch.setattr(door_module, "PATIENCE", 30.0)
        with call(path) as waiting:
            waiting.sendall(b'{"do": "status"}\n')
            assert "no answer within" in said(waiting)["text"]
        for answer in answers:
            answer({"ok": True})  # too late, and harmless
        time.sleep(0.1)


def test_a_caller_that_takes_no_answer_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "PATIENCE", 2.0)
    path = tmp_path / "s"
    with opened(path, lambda command: {"ok": True, "text": "x" * 3_000_000 if command.device else "short"}):
        with call(path) as deaf:
            deaf.sendall(b'{"do": "status", "device": "long"}\n')
            assert asked(path, b'{"do": "status"}\n')["text"] == "short"
            hung_up = select.poll()
            hung_up.register(deaf, select.POLLRDHUP)
            assert hung_up.poll(60_000), "it still waits"
            with pytest.raises((AssertionError, ValueError)):
                said(deaf)  # cut off in the middle
        monkeypatch.setattr(door_module, "PATIENCE", 30.0)
        assert len(asked(path, b'{"do": "status", "device": "long"}\n')["text"]) == 3_000_000


def test_an_answer_may_hold_what_json_does_not_know(tmp_path: Path) -> None:
    with opened(tmp_path / "s", lambda command: {"ok": True, "path": Path("/x"), "number": float("nan")}):
        assert asked(tmp_path / "s", b'{"do": "status"}\n') == {"ok": True, "path": "/x", "number": None}


def test_the_socket_of_a_dead_program_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
        dead.bind(str(path))
    assert path.exists()
    with opened(path):
        assert asked(path, b'{"do": "status"}\n')["ok"]
    assert not path.exists()


def test_it_takes_nothing_away_from_a_living_program(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "s"
    with opened(path):
        with caplog.at_level(logging.WARNING), opened(path) as (second, _):
            assert not second.alive
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert "another program listens there" in caplog.text
        assert asked(path, b'{"do": "status"}\n')["ok"]


def test_it_removes_only_its_own_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with opened(path):
        path.unlink()
        successor = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        successor.bind(str(path))
    assert path.exists()
    successor.close()


@pytest.mark.parametrize("trouble", ["file", "folder", "name"])
def test_without_a_place_there_is_one_warning(tmp_path: Path, trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "s"
    if trouble == "file":
        path.write_text("precious")
    elif trouble == "folder":
        path = tmp_path / "gone" / "s"
    else:
        path = tmp_path / ("n" * 200)
    with caplog.at_level(logging.WARNING), opened(path) as (door, _):
        assert not door.alive
        assert not door.revive()
        door.wake()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert str(path) in caplog.text
    if trouble == "file":
        assert path.read_text() == "precious"


def test_a_path_longer_than_sockets_have(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 20) / ("longer" * 20)
    folder.mkdir(parents=True)
    path = folder / "config.ini.sock"
    assert len(str(path)) > 200
    for _ in range(2):
        with opened(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert asked(path, b'{"do": "status"}\n')["ok"]
        assert not path.exists()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead, reachable(path) as address:
        dead.bind(address)
    with opened(path):
        assert asked(path, b'{"do": "status"}\n')["ok"]


def test_its_end_is_told_to_who_waits(tmp_path: Path) -> None:
    path, arrived = tmp_path / "s", threading.Event()

    def seldom(command: Command) -> dict[str, Any] | None:
        if command.do == "resume":
            return echo(command)
        arrived.set()
        return None

    with opened(path, seldom) as (door, _):
        waiting, silent = call(path), call(path)
        assert asked(path, b'{"do": "resume", "device": "x"}\n')["ok"]  # so those before have been let in
        waiting.sendall(b'{"do": "status"}\n')
        assert arrived.wait(30)
        began = time.monotonic()
        assert door.stop(60)
        assert time.monotonic() - began < 30
        assert said(waiting)["text"] == "the program is ending"
        assert said(silent)["text"] == "the program is ending"
        assert not path.exists()
        waiting.close()
        silent.close()


def test_a_door_that_was_never_opened_can_be_stopped(tmp_path: Path) -> None:
    door = Door(tmp_path / "s", lambda command: None)
    assert door.stop(1)


def test_nobody_at_the_door_costs_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "s") as (door, _):
        before, end = -1.0, time.monotonic() + 30
        while before != door.heartbeat:  # its beginning is over when nothing moves
            assert time.monotonic() < end, "it is never quiet"
            before = door.heartbeat
            time.sleep(0.5)
        time.sleep(1)
        assert door.heartbeat == before
