"""Nothing of a fake may outlive its test, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.peers.bluez import scenarios
from tests.peers.bluez.control import Fake
from tests.peers.bluez.launch import ROOT
from tests.peers.bluez.scenario import Scenario
from tests.peers.fixtures import FakeBlueZ

_BLEAK = """
import asyncio, sys
from bleak import BleakClient, BleakScanner
from tests.peers.bluez.client import talk

async def main():
    async with talk(sys.argv[1]) as link:
        print((await link.ask(sys.argv[2], int(sys.argv[3]))).hex())

asyncio.run(main())
"""
_OWNER = """
import sys, time
from tests.peers.bluez import scenarios
from tests.peers.bluez.control import Fake

fake = Fake(scenarios.everything()).start()
print(fake.pid, fake.daemon.pid, fake.folder, flush=True)
time.sleep(60)
"""


PATIENCE = 50.0
"""Seconds that a busy machine may need for what takes none."""


def _gone(pid: int, seconds: float = PATIENCE) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


def _until(true: Callable[[], Any]) -> None:
    until = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < until, "it does not come about"
        time.sleep(0.02)


def test_an_unmodified_process_meets_the_fake_through_its_environment(fake_bluez: FakeBlueZ) -> None:
    fake = fake_bluez(scenarios.everything())
    frame = scenarios.captured("rvr40-dynamic")
    command = [sys.executable, "-c", _BLEAK, scenarios.CONTROLLER, frame["request"][:-4], "73"]
    done = subprocess.run(
        command, env={**os.environ, **fake.env()}, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.stdout.strip() == frame["response"], done.stderr
    assert done.stderr == ""
    assert fake.connections() == []
    _until(lambda: not fake.clients())
    assert len(fake.calls("StartDiscovery")) == len(fake.calls("Connect")) == len(fake.calls("Disconnect")) == 1
    assert fake.violations() == []


def test_a_killed_client_leaves_its_link_but_not_its_session(fake_bluez: FakeBlueZ) -> None:
    fake = fake_bluez(scenarios.scenario(scenarios.controller()))
    command = [sys.executable, "-c", _BLEAK, scenarios.CONTROLLER, "ff03ffff0001", "99"]
    client = subprocess.Popen(command, env={**os.environ, **fake.env()}, cwd=ROOT)
    try:
        _until(fake.frames)
        assert len(fake.clients()) == 2
    finally:
        client.kill()
        client.wait()
    _until(lambda: not fake.clients())
    _until(lambda: not fake.connections()[0]["notifying"])
    assert len(fake.connections()) == 1


def test_both_processes_and_the_files_are_gone_after_use() -> None:
    with Fake(Scenario()) as fake:
        pids = [fake.pid, fake.daemon.pid]
        assert all(psutil.pid_exists(pid) for pid in pids)
    assert all(_gone(pid) for pid in pids)
    assert not fake.folder.exists()
    fake.stop()


def _fail_inside(seen: list[Fake], pids: list[int]) -> None:
    with Fake(Scenario()) as fake:
        seen.append(fake)
        pids += [fake.pid, fake.daemon.pid]
        raise LookupError("the test failed")


def test_they_are_gone_after_a_failure() -> None:
    seen: list[Fake] = []
    pids: list[int] = []
    with pytest.raises(LookupError):
        _fail_inside(seen, pids)
    assert len(pids) == 2
    assert all(_gone(pid) for pid in pids)
    assert not seen[0].folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_they_are_gone_when_the_test_process_is_killed(number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    try:
        service, daemon, folder = owner.stdout.readline().split()
        owner.send_signal(number)
    finally:
        if owner.poll() is None and number is signal.SIGKILL:
            owner.kill()
        owner.wait()
        owner.stdout.close()
    assert _gone(int(service))
    assert _gone(int(daemon))
    _until(lambda: not Path(folder).exists())


def test_a_service_that_crashed_is_reported(fake_bluez: FakeBlueZ) -> None:
    fake = fake_bluez(Scenario())
    os.kill(fake.pid, signal.SIGKILL)
    assert _gone(fake.pid)
    with pytest.raises((RuntimeError, OSError)):
        fake.calls()


def test_a_service_that_is_busy_talking_survives_the_end_of_its_bus(fake_bluez: FakeBlueZ) -> None:
    fake = fake_bluez(scenarios.scenario(scenarios.controller(), adv_interval_s=0.0002))
    for _ in range(10):
        fake.foreign_discovery(True)
        fake.restart_daemon()
    assert "Traceback" not in fake.log()


def test_a_wrong_scenario_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="adress"):
        msgspec.json.decode(b'{"modules": [{"adress": "x"}]}', type=Scenario)


def test_a_wrong_order_is_refused(fake_bluez: FakeBlueZ) -> None:
    fake = fake_bluez(scenarios.scenario(scenarios.controller()))
    with pytest.raises(ValueError, match="hnag is no action"):
        fake.rule("Connect", "hnag")
    with pytest.raises(ValueError, match="Invalid enum value"):
        fake.quirk(scenarios.CONTROLLER, 16, "sulk")
    with pytest.raises(ValueError, match="has no rsssi"):
        fake.module(scenarios.CONTROLLER, rsssi=1)
    with pytest.raises(ValueError, match="no unit 7"):
        fake.registers(scenarios.CONTROLLER, 7)
    assert fake.calls() == []


def test_the_bluetoothctl_stub(fake_bluez: FakeBlueZ) -> None:
    fake = fake_bluez(Scenario(), bluetoothctl="5.66")
    env = {**os.environ, **fake.env()}
    told = subprocess.run(
        ["bluetoothctl", "--version"], env=env, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    assert told.stdout == "bluetoothctl: 5.66\n"


def test_a_hanging_stub_ends_with_its_caller(fake_bluez: FakeBlueZ) -> None:
    fake = fake_bluez(Scenario(), bluetoothctl="hang")
    script = "import subprocess as s, time; print(s.Popen(['bluetoothctl', '--version']).pid, flush=True); time.sleep(60)"
    env = {**os.environ, **fake.env()}
    caller = subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, text=True)
    assert caller.stdout is not None
    stub = int(caller.stdout.readline())
    assert not _gone(stub, 0.5)
    caller.kill()
    caller.wait()
    caller.stdout.close()
    assert _gone(stub)
