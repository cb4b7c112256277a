"""The upload thread against web servers on loopback."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from renogybt.breaker import Breaker
from renogybt.reading import Reading
from renogybt.settings import Data, Outbox, RemoteLogging, Settings
from renogybt.sinks import upload
from renogybt.sinks.carrier import HttpCarrier
from renogybt.sinks.outlet import Answer, Call, Record, Verdict
from renogybt.sinks.remote import RemoteOutlet
from renogybt.sinks.upload import Uploader
from tests.outbox.given import on_disk
from tests.peers.mosquitto import Certificates, free_port, until
from tests.peers.web import Turn, Web
from tests.sinks.given import HOUSE_48, battery, reading

SECRET = "very-secret"
ROOT = Path(__file__).parents[2]


class Numbers:
    """An outlet that posts one number after the other to `url`."""

    batch = 1

    def __init__(self, url: str, name: str = "numbers", exact: bool = False) -> None:
        self.url, self.name, self.exact = url, name, exact
        self.breaker = Breaker(5, 120.0)
        self.seen: list[Record] = []

    def records(self, reading: Reading) -> list[tuple[float, str]]:
        return [(reading.taken_at, str(reading.values["pv_power"]))]

    def compose(self, waiting: Sequence[Record], wall: float, mono: float) -> Call:
        self.seen.append(waiting[0])
        return Call("POST", self.url, {}, waiting[0].body.encode(), (waiting[0],))

    def judge(self, call: Call, answer: Answer, wall: float, mono: float) -> Verdict:
        good = answer.status == 200
        return Verdict(done=(call.records[0].number,) if good else (), failed=not good, reason="" if good else "no")


Uploaders = Callable[..., Uploader]


@pytest.fixture
def uploader(tmp_path: Path) -> Iterator[Uploaders]:
    """`uploader(*outlets, deadline=...)`: a started thread with its outbox in `tmp_path`."""
    with ExitStack() as stack:

        def started(*outlets: Any, deadline: float = 30.0, pace: float = 60.0) -> Uploader:
            made = Uploader(Settings(folder=str(tmp_path), outbox=Outbox(flush_seconds=pace)))
            made.http = HttpCarrier(made.wake, deadline)
            for outlet in outlets:
                made.add(outlet)
            stack.callback(made.stop, 2.0)
            made.start()
            return made

        yield started


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other sooner than in real life."""
    monkeypatch.setattr(upload, "RETRY", 0.05)


def remote(url: str, auth: str = SECRET, unit: str = "C", **more: Any) -> RemoteOutlet:
    section = RemoteLogging(enabled=True, url=url, auth_header=auth, **more)
    return RemoteOutlet(Settings(data=Data(temperature_unit=unit), remote_logging=section))  # type: ignore[arg-type]


def offer(to: Uploader, *numbers: int) -> None:
    for number in numbers:
        to.offer(reading(pv_power=number))


def posted(web: Web) -> list[int]:
    """The numbers that arrived and were answered with success."""
    return [int(asked.body) for asked in web.asked if asked.status == 200]


def test_a_reading_is_posted_as_json_with_bearer_time_and_key(uploader: Uploaders) -> None:
    with Web() as web:
        sender, taken = uploader(remote(web.url, unit="F")), replace(reading(), taken_at=1_750_000_000.25)
        sender.offer(taken)
        sender.offer(taken)
        sender.offer(replace(taken, taken_at=1_750_000_001.0))
        assert sender.flush(60) == ""
        assert sender.stop(30)
    first, second, third = web.asked
    content = json.loads(first.body)
    assert (content["pv_power"], content["controller_temperature"], content["__client"]) == (34, 77.0, "RoverClient")
    assert content["taken_at"] == first.headers["X-Taken-At"] == "2025-06-15T15:06:40.250+00:00"
    assert first.headers["Authorization"] == f"Bearer {SECRET}"
    assert first.headers["Content-Type"] == "application/json"
    assert first.key == second.key != third.key
    assert len({asked.client_port for asked in web.asked}) == 1


def test_no_header_without_a_secret(uploader: Uploaders) -> None:
    with Web(201, 204) as web:
        sender = uploader(remote(web.url, auth=""))
        sender.offer(battery(HOUSE_48))
        sender.offer(battery(HOUSE_48))
        assert sender.flush(60) == ""
        assert sender.health()["remote_logging"].delivered == 2
    assert "Authorization" not in web.asked[0].headers


def test_what_was_delivered_leaves_no_file(uploader: Uploaders, tmp_path: Path) -> None:
    with Web() as web:
        sender = uploader(remote(web.url))
        sender.offer(reading())
        assert sender.flush(60) == ""
        assert sender.stop(30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [400, 409, 413, 422])
def test_what_will_never_be_accepted_is_given_up_with_one_line(
    code: int, uploader: Uploaders, caplog: pytest.LogCaptureFixture
) -> None:
    with Web(code, code, 200, code) as web:
        sender = uploader(remote(web.url))
        for _ in range(2):
            sender.offer(reading())
        assert sender.flush(60) == ""
        assert len([line for line in caplog.messages if str(code) in line and "given up" in line]) == 1
        sender.offer(reading())
        assert sender.flush(60) == ""
        health = sender.health()["remote_logging"]
        assert (health.delivered, health.dropped, health.waiting, health.state) == (1, 2, 0, "closed")
    assert len(web.asked) == 3


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (401, "check auth_header"),
        (403, "check auth_header"),
        (404, "check url"),
        (405, "check url"),
        (410, "check url"),
        (301, "put the new one into url"),
        (308, "put the new one into url"),
        (500, "fault of its own"),
        (408, "fault of its own"),
        (429, "more slowly"),
    ],
)
def test_what_the_user_or_the_server_can_mend_is_kept(
    code: int, words: str, uploader: Uploaders, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    where = {"Location": f"https://elsewhere.example/{SECRET}"}
    with Web(*[Turn(code, where)] * 5) as web:
        sender = uploader(remote(web.url))
        sender.offer(reading())
        until(lambda: sender.health()["remote_logging"].state == "open")
        assert sender.flush(60) == ""
        health = sender.health()["remote_logging"]
        assert (health.waiting, health.dropped, len(web.asked)) == (1, 0, 5)
        assert words in health.trouble
        assert len([line for line in caplog.messages if words in line]) == 1
        assert "it rests for 120 s" in caplog.text
        assert "kept in the outbox, to be delivered later: 1 for remote_logging" in caplog.messages
    assert SECRET not in caplog.text


def test_it_says_when_a_server_works_again(uploader: Uploaders, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Web(500, 500, 200, 500) as web:
        sender = uploader(Numbers(web.url))
        offer(sender, 1, 2)
        until(lambda: posted(web) == [1, 2])
        assert sender.flush(60) == ""
    assert caplog.messages.count("no") == 2
    assert caplog.messages.count("numbers works again") == 2


def test_a_server_may_say_when_to_come_back(uploader: Uploaders) -> None:
    with Web(Turn(503, {"Retry-After": "1"}), *[Turn(429, {"Retry-After": "3600"})] * 2) as web:
        sender, begun = uploader(remote(web.url)), time.monotonic()
        sender.offer(reading())
        until(lambda: len(web.asked) == 2)
        assert time.monotonic() - begun >= 1
        assert sender.flush(60) == ""
        assert time.monotonic() - begun < 60
        assert sender.health()["remote_logging"].state == "closed"
        assert sender.store.count("remote_logging") == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:FREE/", "nothing listens there"),
        (f"http://user:{SECRET}@127.0.0.1:1/?key={SECRET}", "nothing listens there"),
        ("http://no-such-host.invalid/", "has no known address"),
        ("nonsense", "url must look like"),
        ("https://", "url must look like"),
        ("http://[::1/", "url must look like"),
    ],
)
def test_a_server_that_is_not_there(url: str, words: str, uploader: Uploaders, caplog: pytest.LogCaptureFixture) -> None:
    sender = uploader(remote(url.replace("FREE", str(free_port()))))
    sender.offer(reading())
    assert sender.flush(60) == ""
    assert words in sender.health()["remote_logging"].trouble
    assert sender.stop(30)
    assert SECRET not in caplog.text


def test_user_and_password_in_the_address_are_sent(uploader: Uploaders) -> None:
    with Web() as web:
        sender = uploader(remote(web.url.replace("//", "//me:secret@"), auth=""))
        sender.offer(reading())
        assert sender.flush(60) == ""
    assert web.asked[0].headers["Authorization"] == "Basic bWU6c2VjcmV0"


def test_a_secret_that_is_no_header_is_not_shown(uploader: Uploaders, caplog: pytest.LogCaptureFixture) -> None:
    with Web() as web:
        sender = uploader(remote(web.url, auth=f"{SECRET} ☃\nx"))
        sender.offer(reading())
        assert sender.flush(60) == ""
        assert "HTTP cannot carry" in sender.health()["remote_logging"].trouble
        assert web.asked == []
    assert SECRET not in caplog.text


def test_a_single_run_leaves_to_the_next_what_it_could_not_deliver(uploader: Uploaders, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/log"
    for number in (1, 2, 3):
        sender = uploader(Numbers(url))
        offer(sender, number)
        assert sender.flush(60) == ""
        assert sender.stop(30)
    assert on_disk(tmp_path / "outbox.sqlite") == [("1", False), ("2", False), ("3", False)]
    with Web() as web:
        sender = uploader(Numbers(web.url))
        offer(sender, 4)
        assert sender.flush(60) == ""
        assert sender.stop(30)
        assert posted(web) == [1, 2, 3, 4]
    assert on_disk(tmp_path / "outbox.sqlite") == []


def test_what_can_neither_be_delivered_nor_stored_is_told(uploader: Uploaders, tmp_path: Path) -> None:
    sender = uploader(Numbers(f"http://127.0.0.1:{free_port()}/"))
    (tmp_path / "outbox.sqlite").mkdir()
    offer(sender, 1)
    assert "1 record(s) are neither delivered nor stored" in sender.flush(5)
    assert not sender.stop(2)


def test_the_breaker_spares_a_dead_server(uploader: Uploaders) -> None:
    with Web(chance=lambda number: Turn(500)) as web:
        outlet = Numbers(web.url)
        sender = uploader(outlet)
        offer(sender, *range(100))
        until(lambda: outlet.breaker.state(time.monotonic()) == "open")
        time.sleep(0.5)
        offer(sender, *range(100))
        time.sleep(0.3)
        until(lambda: sender.health()["numbers"].waiting == 200)
        assert len(web.asked) == 5


def test_one_probe_and_then_everything_in_order(uploader: Uploaders) -> None:
    with Web(500, 500, 500) as web:
        outlet = Numbers(web.url)
        outlet.breaker = Breaker(2, 0.3)
        sender = uploader(outlet)
        offer(sender, *range(50))
        until(lambda: len(posted(web)) == 50)
        assert posted(web) == list(range(50))
        assert [asked.status for asked in web.asked[:4]] == [500, 500, 500, 200]


def test_a_silent_server_holds_up_nobody(uploader: Uploaders) -> None:
    with Web(*[0] * 50) as silent, Web() as web:
        sender = uploader(Numbers(silent.url, "silent"), Numbers(web.url), deadline=3)
        offer(sender, 1)
        until(lambda: posted(web) == [1])
        begun = time.monotonic()
        offer(sender, *range(2, 300))
        assert time.monotonic() - begun < 30
        until(lambda: len(posted(web)) == 299, 60)
        assert posted(web) == list(range(1, 300))
        until(lambda: "did not answer in full within the time limit" in sender.health()["silent"].trouble)
        until(lambda: sender.health()["silent"].waiting == 299)
        begun = time.monotonic()
        assert sender.stop(30)
        assert time.monotonic() - begun < 25


class Dripper:
    """A server that answers byte by byte, beginning in the head of the answer."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def __enter__(self) -> Dripper:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        try:
            while True:
                connection, _ = self._listener.accept()
                connection.recv(65536)
                for byte in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 10_000:
                    connection.sendall(bytes([byte]))
                    time.sleep(0.02)
        except OSError:
            self._listener.close()


def test_an_answer_that_drips_has_an_end(uploader: Uploaders) -> None:
    with Web(Turn(how="drip")) as web, Dripper() as head:
        sender = uploader(Numbers(web.url), Numbers(head.url, "head"), deadline=0.6)
        begun = time.monotonic()
        offer(sender, 7)
        until(lambda: posted(web) and sender.health()["head"].trouble)
        assert time.monotonic() - begun < 60
        assert "time limit" in sender.health()["head"].trouble


def test_a_huge_answer_is_not_read(uploader: Uploaders) -> None:
    with Web(Turn(text="x" * 5_000_000)) as web:
        answers: list[Answer] = []
        outlet = Numbers(web.url)
        judge = outlet.judge
        outlet.judge = lambda call, answer, wall, mono: (answers.append(answer), judge(call, answer, wall, mono))[1]  # type: ignore[method-assign]
        sender = uploader(outlet)
        offer(sender, 1, 2)
        assert sender.flush(60) == ""
        assert [len(answer.text) for answer in answers] == [65536, 2]


def test_a_name_lookup_that_hangs_holds_up_its_own_outlet_only(
    uploader: Uploaders, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, asked, over = socket.getaddrinfo, [], threading.Event()

    def lookup(host: Any, *given: Any, **more: Any) -> Any:
        if host == "stuck.test":
            asked.append(host)
            over.wait(100)
        return real(host, *given, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setattr("renogybt.sinks.carrier.GRACE", 0.2)
    with Web() as web:
        sender = uploader(Numbers("http://stuck.test/", "stuck"), Numbers(web.url), deadline=0.5)
        offer(sender, *range(20))
        until(lambda: len(set(posted(web))) == 20, 60)
        until(lambda: "held by its name lookup" in caplog.text)
        time.sleep(1)
        assert len(asked) == 1, "an outlet whose lookup still hangs was asked again"
        assert sender.stop(30)
        over.set()


@pytest.mark.parametrize("how", ["dead", "close"])
def test_a_kept_connection_that_turns_out_dead_is_replaced_once(how: Any, uploader: Uploaders) -> None:
    with Web(Turn(how=how)) as web:
        outlet = Numbers(web.url)
        sender = uploader(outlet)
        for number in range(3):
            offer(sender, number)
            assert sender.flush(60) == ""
        assert posted(web) == [0, 1, 2]
        assert outlet.breaker.failures == 0
        assert len(outlet.seen) == 3, "the call was not repeated within itself"
        assert web.connections == 2


def test_a_new_connection_that_breaks_is_a_failure(uploader: Uploaders) -> None:
    with Web(Turn(how="reset")) as web:
        outlet = Numbers(web.url)
        sender = uploader(outlet)
        offer(sender, 1)
        assert sender.flush(60) == ""
        assert [asked.status for asked in web.asked] == [0, 200]
        assert len(outlet.seen) == 2


def test_only_one_replay_and_none_after_a_timeout(uploader: Uploaders) -> None:
    with Web(200, Turn(how="reset"), Turn(how="reset"), 200, 0, 200) as web:
        outlet = Numbers(web.url)
        sender = uploader(outlet, deadline=2)
        offer(sender, 1)
        until(lambda: posted(web) == [1])
        offer(sender, 2)
        until(lambda: posted(web) == [1, 2])
        assert len(outlet.seen) == 3, "two calls for the second number: the replay belongs to the first of them"
        offer(sender, 3)
        until(lambda: posted(web) == [1, 2, 3])
        assert len(outlet.seen) == 5, "the call that timed out was not replayed"


def test_an_exact_outlet_is_never_replayed_blindly(uploader: Uploaders) -> None:
    with Web(200, Turn(how="reset"), 200) as web:
        outlet = Numbers(web.url, exact=True)
        sender = uploader(outlet, pace=1)
        offer(sender, 1)
        until(lambda: posted(web) == [1])
        offer(sender, 2)
        until(lambda: posted(web) == [1, 2])
        assert [(record.body, record.sent_once) for record in outlet.seen] == [("1", False), ("2", False), ("2", True)]


def test_what_never_left_is_not_marked(uploader: Uploaders) -> None:
    outlet = Numbers(f"http://127.0.0.1:{free_port()}/", exact=True)
    sender = uploader(outlet)
    offer(sender, 1)
    until(lambda: len(outlet.seen) >= 3)
    assert [record.sent_once for record in outlet.seen[:3]] == [False] * 3
    assert sender.store.commits == 1


def test_the_mark_is_on_the_disk_before_the_request_arrives(uploader: Uploaders, tmp_path: Path) -> None:
    found: list[list[tuple[str, bool]]] = []

    def look(number: int) -> Turn:
        copy = tmp_path / f"copy{number}"
        for tail in ("", "-wal"):
            if (tmp_path / f"outbox.sqlite{tail}").exists():
                shutil.copy(tmp_path / f"outbox.sqlite{tail}", f"{copy}{tail}")
        found.append(on_disk(copy))
        return Turn()

    with Web(chance=look) as web:
        sender = uploader(Numbers(web.url, exact=True), pace=1)
        offer(sender, 1)
        until(lambda: posted(web) == [1])
        offer(sender, 2)
        assert sender.flush(60) == ""
    assert found[0] == [("1", True)]
    assert found[1][-1] == ("2", True)


def test_marks_keep_to_the_pace_of_writing(uploader: Uploaders) -> None:
    with Web() as web:
        sender, begun = uploader(Numbers(web.url, exact=True), pace=1), time.monotonic()
        for number in range(3):
            offer(sender, number)
            until(lambda wanted=number + 1: len(posted(web)) == wanted)
        seconds = time.monotonic() - begun
        assert 2 <= seconds < 30
        assert sender.store.commits <= seconds + 1


def test_catching_up_is_fast_and_in_order(uploader: Uploaders, tmp_path: Path) -> None:
    number = 1000
    first = uploader(Numbers(f"http://127.0.0.1:{free_port()}/"))
    offer(first, *range(number))
    assert first.flush(60) == ""
    assert first.stop(30)
    with Web() as web:
        second = uploader(Numbers(web.url))
        until(lambda: len(posted(web)) == number, 100)  # a pause after each would make many minutes
        assert posted(web) == list(range(number))
        assert second.stop(30)
    assert on_disk(tmp_path / "outbox.sqlite") == []


def test_something_for_one_outlet_alone(uploader: Uploaders) -> None:
    with Web() as web, Web() as other:
        sender = uploader(Numbers(web.url, "one"), Numbers(other.url, "two"))
        sender.give("two", lambda: [(1.0, "5")])
        assert sender.flush(60) == ""
        assert (posted(web), posted(other)) == ([], [5])


def test_offers_before_the_start_and_right_before_the_end_arrive(tmp_path: Path) -> None:
    with Web() as web:
        sender = Uploader(Settings(folder=str(tmp_path)), [Numbers(web.url)])
        offer(sender, 1)
        assert "does not run" in sender.flush(1)
        sender.start()
        offer(sender, 2)
        assert sender.stop(30)
        assert posted(web) == [1, 2]
        assert sender.stop(1)


@pytest.mark.parametrize("trusted", [True, False])
def test_https_is_verified_with_an_authority_of_ones_own(trusted: bool, uploader: Uploaders, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path("server.crt"), certificates.path("server.key"))
    web = Web()
    web._server.socket = context.wrap_socket(web._server.socket, server_side=True)
    with web:
        more = {"ca": certificates.path("ca.crt")} if trusted else {}
        sender = uploader(remote(f"https://localhost:{web.port}/log", **more))
        sender.offer(reading())
        sender.offer(reading())
        assert sender.flush(60) == ""
        trouble = sender.health()["remote_logging"].trouble
    assert len(web.asked) == (2 if trusted else 0)
    assert "no certificate this machine trusts" in trouble or trusted


def test_a_missing_authority_is_named(uploader: Uploaders) -> None:
    sender = uploader(remote("https://localhost:1/", ca="/nowhere/ca.crt"))
    sender.offer(reading())
    assert sender.flush(60) == ""
    assert "file named as ca" in sender.health()["remote_logging"].trouble


def test_nothing_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from renogybt.data_logger import DataLogger\n"
        "from renogybt.settings import Mqtt, RemoteLogging, Settings\n"
        "def loaded(): return [name for name in ('requests', 'sqlite3', 'zoneinfo') if name in sys.modules]\n"
        "logger = DataLogger(Settings(mqtt=Mqtt(enabled=True)))\n"
        "print(loaded())\n"
        "logger = DataLogger(Settings(remote_logging=RemoteLogging(enabled=True, url='http://127.0.0.1:1/')))\n"
        "print(loaded())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=150, check=False
    )
    assert (done.stdout.split("\n")[:2], done.returncode) == (["[]", "['sqlite3']"], 0), done.stderr
