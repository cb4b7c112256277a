"""scripts/stability_test.py as a person with a Pi runs it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from tests.e2e.program import ROOT, wait_until
from tests.peers.bluez import scenarios as scene
from tests.peers.bluez.control import Fake
from tests.peers.fixtures import FakeBlueZ

ROVER, HUB = (f"02:00:{kind}:" + os.getpid().to_bytes(3, "big").hex(":").upper() for kind in ("0A", "0B"))
"""Addresses of their own: modules in use are known to the whole machine, on which other tests may run."""
CONFIG = f"""
[device.rover]
mac_addr = {ROVER}
type = RNG_CTRL
[device.hub]
mac_addr = {HUB}
type = RNG_BATT
device_id = 48,49
[data]
enable_polling = true
[bluetooth]
battery_retry_seconds = 0.5
discovery_timeout = 2
[mqtt]
enabled = true
server = 127.0.0.1
port = 9
"""
FAILED = ("org.bluez.Error.Failed", "le-connection-abort-by-remote")


def run(*words: str, fake: Fake | None = None, timeout: float = 100) -> tuple[int, str]:
    """Exit code and output."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "stability_test.py"), *words],
        cwd=ROOT.parent,
        env={**os.environ, **(fake.env() if fake else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    sys.stdout.write(done.stdout)
    return done.returncode, done.stdout


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "config.ini"
    path.write_text(CONFIG)
    return str(path)


def connects_fail(fake: Fake, share: float, calls: int, seed: int = 1) -> int:
    """Let this share of the next calls of Connect fail, chosen by chance; how many that are."""
    dice = Random(seed)
    doomed = [number for number in range(calls) if dice.random() < share]
    for earlier, number in enumerate(doomed):  # a rule does not see the calls that those before it took
        fake.rule("Connect", FAILED, times=1, skip=number - earlier)
    return len(doomed)


def share_of(text: str) -> float:
    found = re.search(r"good cycles .* = ([0-9.]+) %", text)
    assert found
    return float(found[1])


def test_three_attempts_of_ten_fail_and_it_is_steady_all_the_same() -> None:
    code, text = run("--simulate", "--fail", "0.3", "--pause", "0")
    assert code == 0
    assert 80 <= share_of(text) < 100
    assert "at attempt 2" in text
    assert "Steady." in text
    assert len(re.findall("good|LOST", text.split("\n\n")[0])) == 100  # 20 cycles of five modules


def test_without_failures_every_cycle_is_good() -> None:
    code, text = run("--simulate", "--fail", "0", "--pause", "0", "--cycles", "3")
    assert (code, share_of(text)) == (0, 100)


def test_the_same_seed_gives_the_same_failures() -> None:
    first, second, other = (
        [word for word in run("--simulate", "--pause", "0", "--cycles", "6", "--seed", seed)[1].split() if word == "LOST"]
        for seed in ("3", "3", "4")
    )
    assert first == second
    assert first or other


def test_nothing_connects() -> None:
    code, text = run("--simulate", "--fail", "1", "--pause", "0", "--cycles", "2")
    assert code == 1
    assert share_of(text) == 0
    assert "no connection at all" in text
    assert "4 times  bank_48, bank_49, bank_50, bank_51: the connection did not come about (injected)" in text
    assert "Not steady." in text


def test_the_devices_of_a_configuration_can_be_simulated(config: str) -> None:
    code, text = run(config, "--simulate", "--fail", "0", "--pause", "0", "--cycles", "2")
    assert code == 0
    assert "rover" in text
    assert "4 of 4" in text


def test_a_configuration_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[device]\nmac_addr = 12:34\n")
    code, text = run(str(tmp_path / "config.ini"))
    assert code == 2
    assert "12:34" in text
    assert "Traceback" not in text
    assert run(str(tmp_path / "none.ini"))[0] == 2
    assert run("--simulate", "--fail", "2")[0] == 2
    assert run("--fail", "0.3")[0] == 2


def test_over_the_radio(fake_bluez: FakeBlueZ, config: str, tmp_path: Path) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(address=ROVER), scene.batteries(address=HUB)))
    code, text = run(config, "--cycles", "8", "--pause", "0.1", fake=fake)
    assert code == 0
    assert "16 of 16 = 100.0 %" in text
    assert re.search(r"ok   D-Bus connections +[1-3] -> [1-3]\n", text)
    assert len(fake.calls("Connect")) == 16
    wait_until(lambda: not fake.connections() and not fake.clients(), what="nothing is left")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.ini"]  # no totals, nothing sent


def test_a_third_of_all_connects_fails(fake_bluez: FakeBlueZ, config: str) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(address=ROVER), scene.batteries(address=HUB)))
    failing = connects_fail(fake, 0.3, 40)
    code, text = run(config, "--cycles", "10", "--pause", "0.1", fake=fake)
    assert code == 0
    assert 80 <= share_of(text) <= 100
    failed = [call for call in fake.calls("Connect") if call["result"] != "ok"]
    assert 5 <= len(failed) <= failing


def test_a_module_that_is_not_there_is_named(fake_bluez: FakeBlueZ, config: str) -> None:
    fake = fake_bluez(scene.scenario(scene.controller(address=ROVER)))
    code, text = run(config, "--cycles", "1", "--pause", "0", fake=fake)
    assert code == 1
    assert share_of(text) == 50
    assert re.search(r"2 times  hub_48, hub_49: .*was not seen", text)


def test_it_does_not_fight_with_the_bridge(fake_bluez: FakeBlueZ, config: str) -> None:
    from renogybt.service.lock import Claims

    fake = fake_bluez(scene.scenario(scene.controller(address=ROVER)))
    claims = Claims([ROVER])
    try:
        code, text = run(config, fake=fake)
    finally:
        claims.release()
    assert code == 2
    assert f"{ROVER} is in use by process {os.getpid()}" in text
    assert "systemctl stop" in text
    assert fake.calls("Connect") == []


@pytest.fixture(scope="module")
def counting() -> ModuleType:
    path = ROOT / "scripts" / "stability_tally.py"
    spec = importlib.util.spec_from_file_location("stability_tally", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["stability_tally"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("grown", "leak"), [(0, False), (1, True)])
def test_what_grows_with_every_cycle_is_a_leak(counting: ModuleType, grown: int, leak: bool) -> None:
    held = [counting.Footprint(10 + grown * n, 3, 2 + n % 2, None, 30.0) for n in range(20)]
    found = {name: bad for name, _, _, bad in counting.leaks(held)}
    assert found == {"file descriptors": leak, "threads": False, "asyncio tasks": False, "memory (MB)": False}


@pytest.mark.parametrize(
    ("good", "seconds", "ended", "code"), [(80, 14.9, True, 0), (79, 1, True, 1), (100, 15.1, True, 1), (100, 1, False, 1)]
)
def test_the_exit_code_follows(counting: ModuleType, good: int, seconds: float, ended: bool, code: int) -> None:
    tally = counting.Tally(attempts=100, connects=[seconds] * good, cycles=100, good=good)
    assert counting.report(tally, ended) == code
