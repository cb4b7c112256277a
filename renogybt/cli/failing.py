"""How a command says that it failed, and ends."""

from __future__ import annotations

import sys

from renogybt.cli.run import EXIT_CONFIG
from renogybt.errors import ConfigError


def failed(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def unusable(config: str, error: ConfigError) -> int:
    """The configuration file of that name cannot be used."""
    problems = "".join(f"\n  - {problem}" for problem in error.problems)
    return failed(f"{config} cannot be used:{problems}", EXIT_CONFIG)
