"""How the program ends: in good order whatever hangs, at once when told twice. That it runs once. What systemd hears."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.program import ROOT, Program, wait_until
from tests.e2e.test_example import HUB, ROVER, data, device, mqtt, nothing_left
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.bluez.scenario import Scenario
from tests.peers.fixtures import FakeBlueZ
from tests.peers.mosquitto import Listener, Mosquitto
from tests.peers.web import Turn, Web

LIMIT = 18.0
"""Seconds that an end in good order may take."""
AMPERES = 320.0
"""Into the first battery, so that seconds count in kWh of three decimals."""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "broker") as broker:
        yield broker


def lost(fake: Fake, *members: str) -> None:
    """These calls are never answered again, and the connection that there was is gone."""
    for member in members:
        fake.rule(member, "hang")
    fake.clear_log()
    fake.drop_link(scene.BATTERIES)
    fake.remove_device(scene.BATTERIES)


def mute(fake: Fake) -> None:
    fake.rule("WriteValue", "hang")
    fake.clear_log()


def restarted(fake: Fake) -> None:
    """A new bluetoothd, which does not say what it has."""
    fake.rule("GetManagedObjects", "hang")
    fake.clear_log()
    fake.die()
    fake.restart(announce=False)


HANGS: dict[str, tuple[str, Callable[[Fake], None]]] = {
    "Connect": ("Connect", lambda fake: lost(fake, "Connect")),
    "Connect and Disconnect": ("Connect", lambda fake: lost(fake, "Connect", "Disconnect")),
    "StartDiscovery": ("StartDiscovery", lambda fake: lost(fake, "StartDiscovery")),
    "StopDiscovery": ("StopDiscovery", lambda fake: lost(fake, "StopDiscovery")),
    "StartDiscovery and StopDiscovery": ("StartDiscovery", lambda fake: lost(fake, "StartDiscovery", "StopDiscovery")),
    "GetManagedObjects": ("GetManagedObjects", restarted),
    "WriteValue": ("WriteValue", mute),
}


def bank() -> Scenario:
    """Four batteries; the first is charged as fast as none is."""
    first, *others = scene.PACKS
    return scene.scenario(scene.batteries(replace(first, current=AMPERES), *others))


def counted(ears: Listener) -> float:
    """kWh charged into the first battery, as was published last, in three decimals."""
    said = [json.loads(payload)["energy_in_kwh"] for payload in ears.on("solar/state/hub_48")]
    return max((value for value in said if value is not None), default=0.0)


def saved(folder: Path) -> float:
    """The same on disk, in full, where it is written once a minute and at the end."""
    return float(json.loads((folder / "energy_totals.json").read_text())["c464e3383d0e_48"]["energy_in_kwh"])


def last_saved(folder: Path) -> int:
    """When that was; it is the first thing to be done when the program is told to end."""
    path = folder / "energy_totals.json"
    return path.stat().st_mtime_ns if path.exists() else 0


ROUNDING = 0.0006
"""kWh by which what is published in three decimals may differ from what was counted."""


def read_for_a_while(ears: Listener) -> None:
    ears.wait(lambda: counted(ears) >= 0.002 and ears.on("solar/state/hub_combined"), 60)


@pytest.mark.parametrize("what", HANGS)
def test_it_ends_in_good_order_while_bluez_hangs(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path, what: str
) -> None:
    member, hang = HANGS[what]
    fake = fake_bluez(bank())
    ini = HUB + data(True) + mqtt(broker, homeassistant_discovery="true")
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake) as program:
        read_for_a_while(ears)
        hang(fake)
        wait_until(lambda: fake.calls(member), what=f"a call of {member}")
        time.sleep(0.5)
        code, seconds = program.end()
        assert code == 0
        assert seconds < LIMIT
        ears.wait_for("solar/state/bridge/availability", "offline")
        ears.wait_for("solar/state/hub_48/availability", "offline")
        assert saved(tmp_path) == pytest.approx(counted(ears), abs=ROUNDING)
    fake.clear_rules()
    wait_until(lambda: not fake.clients(), what="D-Bus connections closed")
    assert not (tmp_path / "config.ini.sock").exists()


def test_it_ends_while_nobody_answers_at_all(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(bank())
    with Listener(broker.port) as ears, Web(*[Turn(how="hang")] * 50) as web:
        ini = HUB + data(True) + mqtt(broker) + f"[remote_logging]\nenabled = true\nurl = {web.url}\n"
        with Program(tmp_path, ini, fake) as program:
            read_for_a_while(ears)
            wait_until(lambda: web.asked, what="an upload that hangs")
            last = counted(ears)
            lost(fake, "Connect", "Disconnect", "StartDiscovery", "StopDiscovery", "GetManagedObjects", "Get", "GetAll")
            with silent(broker):
                time.sleep(2)
                code, seconds = program.end()
            assert code == 0
            assert seconds < LIMIT
            assert saved(tmp_path) >= last - ROUNDING


@contextmanager
def silent(broker: Mosquitto) -> Iterator[None]:
    """The broker keeps its connections and says nothing."""
    assert broker._process
    broker._process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker._process.send_signal(signal.SIGCONT)


def test_a_silent_broker_alone(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(bank())
    with Listener(broker.port) as ears, Program(tmp_path, HUB + data(True) + mqtt(broker), fake) as program:
        read_for_a_while(ears)
        last = counted(ears)
        with silent(broker):
            time.sleep(1.5)
            code, seconds = program.end()
        assert code == 0
        assert seconds < LIMIT
        assert saved(tmp_path) >= last - ROUNDING
    nothing_left(fake)


def test_a_web_server_that_does_not_answer(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(bank())
    with Listener(broker.port) as ears, Web(*[Turn(how="hang")] * 50) as web:
        ini = HUB + data(True) + mqtt(broker) + f"[remote_logging]\nenabled = true\nurl = {web.url}\n"
        with Program(tmp_path, ini, fake) as program:
            read_for_a_while(ears)
            wait_until(lambda: web.asked, what="an upload that hangs")
            code, seconds = program.end()
        assert code == 0
        assert seconds < LIMIT
        ears.wait_for("solar/state/bridge/availability", "offline")
        assert saved(tmp_path) == pytest.approx(counted(ears), abs=ROUNDING)
    nothing_left(fake)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_twice_it_ends_at_once(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path, number: int, code: int
) -> None:
    fake = fake_bluez(bank())
    with Listener(broker.port) as ears, Program(tmp_path, HUB + data(True) + mqtt(broker), fake) as program:
        read_for_a_while(ears)
        least = counted(ears)
        with silent(broker):  # otherwise the first would do in less than a second
            time.sleep(1.5)
            before = last_saved(tmp_path)
            program.told_to_end(number)
            wait_until(lambda: last_saved(tmp_path) != before, what="the first has arrived: two at once would be one")
            assert program.running
            ended, _ = program.end(number)
        assert ended == code  # in good order it would be 0
        assert saved(tmp_path) >= least - ROUNDING
        assert "Traceback" not in program.output
    fake.clear_rules()
    with Program(tmp_path, HUB + data(False), fake) as program:  # neither the lock nor the socket is in the way
        assert program.ended() == 0


STUCK = """
import sys, threading, time
from renogybt.cli import run

class Bridge:
    def __init__(self, *_, **__): pass
    def run(self):
        print("up", flush=True)
        if sys.argv[1] == "main":
            while True:
                time.sleep(1)
        if sys.argv[1] == "saving":
            time.sleep(600)
        while "asked" not in said:
            time.sleep(0.05)
        threading.Thread(target=time.sleep, args=(600,)).start()
        return 0
    def last_resort(self):
        print("saving", flush=True)
        time.sleep(600)

said = []

def stop(bridge):
    said.append("asked")
    print("asked", flush=True)

Bridge.stop = stop
import renogybt.service.bridge
renogybt.service.bridge.Bridge = Bridge
run.HARD_LIMIT = float(sys.argv[2])
from renogybt.settings import Settings
sys.exit(run.run(Settings()))
"""


@contextmanager
def stuck(where: str, limit: float = 2.0) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-c", STUCK, where, str(limit)]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("where", ["main", "exit"])
def test_nothing_outlives_the_hard_limit(where: str) -> None:
    """Neither a main loop that does not end, nor a thread that the interpreter waits for when it has."""
    with stuck(where) as process:
        began = time.monotonic()
        process.terminate()
        assert process.wait(60) == 1
        assert time.monotonic() - began > 1.5
        assert process.stdout
        assert "Timeout" in process.stdout.read()


def test_the_hard_limit_holds_for_saving_and_a_third_signal_does_not_wait() -> None:
    for third, limit in ((True, 600.0), (False, 15.0)):
        with stuck("saving", limit) as process:
            assert process.stdout
            process.terminate()
            assert process.stdout.readline() == "asked\n"
            process.terminate()
            assert process.stdout.readline() == "saving\n"
            if third:
                process.terminate()
            assert process.wait(60) == (143 if third else 1)


def test_it_is_not_started_twice(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    ini = ROVER + data(True) + mqtt(broker)
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake) as first:
        ears.wait_for("solar/state", timeout=60)
        for more in (data(True), data(False)):
            with Program(tmp_path, ROVER + more, fake) as second:
                assert second.ended() == 75
                assert second.output.count("\n") == 1
                assert str(first.pid) in second.output
                assert str(tmp_path / "config.ini.lock") in second.output
        with Program(tmp_path, ini, fake, "--check") as check:
            assert check.ended() == 0
        heard = len(ears.on("solar/state"))
        ears.wait(lambda: len(ears.on("solar/state")) >= heard + 2, 60)
        assert first.end()[0] == 0
    with Program(tmp_path, ROVER + data(False), fake) as third:
        assert third.ended() == 0


def test_another_configuration_for_the_same_module_is_told(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    number = os.getpid()
    address = f"60:98:66:{number >> 16 & 255:02X}:{number >> 8 & 255:02X}:{number & 255:02X}"  # nobody else's at this moment
    fake = fake_bluez(scene.scenario(scene.controller(address=address)))
    other = tmp_path / "other"
    other.mkdir()
    ini = device(address, "RNG_CTRL", alias="rover") + data(True)
    with Program(tmp_path, ini, fake) as first:
        first.says("rover_255 =>")
        with Program(other, ini, fake) as second:
            second.says(f"is also read by process {first.pid}, with another configuration")


def test_after_a_kill_it_starts_again_with_its_socket(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Program(tmp_path, ROVER + data(True), fake) as program:
        program.says("rover_255 =>")
        program.end(signal.SIGKILL)
    assert (tmp_path / "config.ini.lock").exists()
    with Program(tmp_path, ROVER + data(True), fake) as program:
        program.says("rover_255 =>")
        done = command(program, "status", "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["devices"]["rover_255"]["state"] == "online"
        assert program.end()[0] == 0
    assert command(program, "status").returncode == 69
    nothing_left(fake)


def command(program: Program, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "example.py", *words, "--config", str(program.config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_module_is_lent_to_the_phone_app_and_taken_back(fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(), scene.batteries()))
    ini = ROVER + HUB.replace("[device]", "[device.hub]") + data(True) + mqtt(broker)
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake) as program:
        ears.wait(lambda: ears.on("solar/state/hub_48") and ears.on("solar/state/rover_255"), 60)
        done = command(program, "release", "hub")
        assert (done.returncode, done.stderr) == (0, "")
        assert "hub is released" in done.stdout
        assert [link["address"] for link in fake.connections()] == [scene.CONTROLLER]
        heard = len(ears.on("solar/state/rover_255"))
        ears.wait(lambda: len(ears.on("solar/state/rover_255")) >= heard + 2, 60)
        assert [link["address"] for link in fake.connections()] == [scene.CONTROLLER]
        assert command(program, "resume", "hub").returncode == 0
        wait_until(lambda: len(fake.connections()) == 2, what="it is taken back before its time")
        released = fake.events("disconnected")
        assert command(program, "release", "hub", "--minutes", "0.05").returncode == 0
        wait_until(lambda: len(fake.events("disconnected")) > len(released), what="it is released again")
        wait_until(lambda: len(fake.connections()) == 2, what="it is taken back when the time is over")
        refused = command(program, "release", "tub")
        assert refused.returncode == 1
        assert "tub" in refused.stderr


# systemd


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path) -> None:
        self.heard: list[tuple[float, str]] = []
        self._ends = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(0.1)
        self._socket.bind(str(folder / "notify"))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        self.environment = {"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "4000000"}

    def _listen(self) -> None:
        while not self._ends.is_set():
            with contextlib.suppress(TimeoutError):
                self.heard.append((time.monotonic(), self._socket.recv(4096).decode()))

    def words(self) -> list[str]:
        return [word for _, text in self.heard for word in text.split("\n")]

    def signs(self) -> list[float]:
        """When there was a sign of life."""
        return [at for at, text in self.heard if "WATCHDOG=1" in text]

    def close(self) -> None:
        self._ends.set()
        self._thread.join(5)
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    peer = Systemd(tmp_path)
    yield peer
    peer.close()


def test_systemd_hears_of_start_life_and_end(fake_bluez: FakeBlueZ, tmp_path: Path, systemd: Systemd) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Program(tmp_path, ROVER + data(True), fake, **systemd.environment) as program:
        wait_until(lambda: len(systemd.signs()) >= 6, what="signs of life")
        assert program.end()[0] == 0
    wait_until(lambda: "STOPPING=1" in systemd.words(), what="the last words")
    words = systemd.words()
    assert words[0] == "READY=1"
    assert words.count("READY=1") == 1
    assert [word for word in words if word.startswith("STATUS=")]
    assert words.count("STOPPING=1") == 1
    gaps = [later - earlier for earlier, later in pairwise(systemd.signs())]
    assert max(gaps[1:]) < 3.9  # of the four seconds that this systemd waits; one on an idle machine
    assert "WATCHDOG=1" not in words[words.index("STOPPING=1") :]


def test_systemd_hears_of_the_start_without_any_bluetooth(tmp_path: Path, systemd: Systemd) -> None:
    with Program(tmp_path, ROVER + data(True), None, **systemd.environment) as program:
        wait_until(lambda: len(systemd.signs()) >= 3, what="signs of life")
        assert "READY=1" in systemd.words()
        assert program.end()[0] == 0


WEDGES = str(Path(__file__).parent / "wedges")


def silence(systemd: Systemd) -> float:
    """Seconds since the last sign of life."""
    return time.monotonic() - systemd.signs()[-1]


def test_a_main_loop_that_hangs_gives_no_sign_of_life_and_a_trace(
    fake_bluez: FakeBlueZ, tmp_path: Path, systemd: Systemd
) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Program(tmp_path, ROVER + data(True), fake, **systemd.environment, PYTHONPATH=WEDGES) as program:
        wait_until(lambda: len(systemd.signs()) >= 3, what="signs of life")
        os.kill(program.pid, signal.SIGUSR1)
        program.says("wedged")
        wait_until(lambda: silence(systemd) > 5, what="no more signs of life")
        assert program.running
        assert program.end(signal.SIGABRT)[0] == -signal.SIGABRT  # what systemd does then
        assert "wedge_main" in program.output


def test_a_main_loop_that_hangs_is_ended_by_the_hard_limit(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller()))
    with Program(tmp_path, ROVER + data(True), fake, PYTHONPATH=WEDGES) as program:
        program.says("rover_255 =>")
        os.kill(program.pid, signal.SIGUSR1)
        program.says("wedged")
        began = time.monotonic()
        code, seconds = program.end()
        assert code == 1
        assert time.monotonic() - began > 16
        assert seconds < LIMIT
        assert "wedge_main" in program.output


def test_a_bluetooth_thread_that_hangs_for_good_gives_no_sign_of_life(
    fake_bluez: FakeBlueZ, broker: Mosquitto, tmp_path: Path, systemd: Systemd
) -> None:
    """New threads are tried; when they hang too, systemd has to start the program anew, in one way or the other."""
    fake = fake_bluez(bank())
    ini = HUB + data(True) + mqtt(broker)
    environment: dict[str, Any] = {**systemd.environment, "PYTHONPATH": WEDGES}
    with Listener(broker.port) as ears, Program(tmp_path, ini, fake, **environment) as program:
        read_for_a_while(ears)
        last = counted(ears)
        os.kill(program.pid, signal.SIGUSR2)
        wait_until(lambda: not program.running or silence(systemd) > 5, 90, "no more signs of life, or the end")
        if program.running:
            assert program.end()[1] < LIMIT
        else:
            assert program.ended() == 75
        assert saved(tmp_path) >= last - ROUNDING
