"""kill -9 at any moment: the file is whole, no total falls, and at most a minute of energy is lost."""

import subprocess
import sys
from pathlib import Path

ROUNDS, SEED = 200, 20260701


def test_two_hundred_kills_at_random_moments(tmp_path: Path) -> None:
    path = tmp_path / "energy_totals.json"
    command = [sys.executable, "-m", "tests.energy.crash", str(path), str(ROUNDS), str(SEED)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == ("", "", 0)
