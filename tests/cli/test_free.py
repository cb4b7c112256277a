"""`free` disconnects what a killed program has left behind: the real busctl on the bus of the fake BlueZ."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from renogybt.cli import free
from renogybt.service.lock import Lock
from tests.e2e.program import ROOT, Program, wait_until
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.fixtures import FakeBlueZ

INI = (
    f"[device]\nmac_addr = {scene.CONTROLLER}\ntype = RNG_CTRL\nalias = rover\n"
    "[data]\nenable_polling = true\npoll_interval = 1\n"
)


def freed(folder: Path, fake: Fake | None, **environment: str) -> subprocess.CompletedProcess[str]:
    led = fake.env() if fake else {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={folder}/no-bus"}
    return subprocess.run(
        [sys.executable, "example.py", "free", "--config", str(folder / "config.ini")],
        cwd=ROOT,
        env={**os.environ, **led, **environment},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_after_a_kill(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(), scene.batteries(connected=True)))
    with Program(tmp_path, INI, fake) as program:
        program.says("rover_255 =>")
        program.end(signal.SIGKILL)
    assert len(fake.connections()) == 2
    assert freed(tmp_path, fake, EXIT_CODE="exited", EXIT_STATUS="0").stdout == ""
    assert len(fake.connections()) == 2
    done = freed(tmp_path, fake, EXIT_CODE="killed", EXIT_STATUS="KILL")
    assert (done.returncode, done.stderr) == (0, "")
    assert scene.CONTROLLER in done.stdout
    assert [link["address"] for link in fake.connections()] == [scene.BATTERIES]  # not ours, not touched
    done = freed(tmp_path, fake)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_device_known_by_its_name(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(connected=True)))
    (tmp_path / "config.ini").write_text("[device]\nalias = BT-TH-66EDFC11\ntype = RNG_CTRL\n", "utf-8")
    assert freed(tmp_path, fake).returncode == 0
    assert fake.connections() == []


def test_never_under_a_running_program(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(connected=True)))
    (tmp_path / "config.ini").write_text(INI, "utf-8")
    lock = Lock(tmp_path / "config.ini.lock")
    assert lock.take()
    done = freed(tmp_path, fake)
    lock.release()
    assert done.returncode == 75
    assert str(os.getpid()) in done.stderr
    assert fake.connections()


def test_without_bluez_and_with_a_mute_one_it_ends_soon(fake_bluez: FakeBlueZ, tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text(INI, "utf-8")
    done = freed(tmp_path, None)
    assert done.returncode == free.EXIT_FAILED
    assert "BlueZ could not be asked" in done.stderr
    assert "Traceback" not in done.stderr
    fake = fake_bluez(scene.scenario(scene.controller(connected=True)))
    for member in ("GetManagedObjects", "Disconnect"):
        fake.rule(member, "hang")
        began = time.monotonic()
        done = freed(tmp_path, fake)
        assert time.monotonic() - began < 3 * free.LIMIT  # Python itself has to start, too
        assert done.returncode == free.EXIT_FAILED
        assert done.stderr.count("\n") == 1
        fake.clear_rules()
    wait_until(lambda: not fake.clients(), what="nothing of it stays on the bus")


ADDRESS = "84:28:D7:FF:00:01"
WANTED = f'"/d/dev_1" 2 "org.bluez.Device1" 3 "Address" s "{ADDRESS}" "Name" s "a" "Connected" b true "org.x" 0'


@pytest.mark.parametrize(
    "objects",
    [
        "",
        "a{oa{sa{sv}}} 0",
        WANTED.replace("true", "false"),
        WANTED.replace("Device1", "Device2"),
        WANTED.replace(ADDRESS, "84:28:D7:FF:00:02"),
        WANTED.replace("true", "false").replace('"a"', r'"\"Connected\" b true"'),
        WANTED.replace(ADDRESS, "").replace('"a"', r'"\"Address\" s \"84:28:D7:FF:00:01"'),
    ],
)
def test_objects_without_what_is_sought(objects: str) -> None:
    assert list(free.connected(f"{objects} {WANTED.replace('dev_1', 'dev_2')}", {ADDRESS}, {"rover"})) == [
        ("/d/dev_2", ADDRESS)
    ]


def test_a_name_with_quotes_is_read() -> None:
    text = WANTED.replace('"a"', r'"\"x\\"')
    assert list(free.connected(text, {ADDRESS}, set())) == [("/d/dev_1", ADDRESS)]
