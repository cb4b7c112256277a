"""How a measured figure is shown."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` was measured, at most `limit` is promised."""

    name: str
    value: float
    limit: float
    unit: str
    method: str

    @property
    def kept(self) -> bool:
        return self.value <= self.limit

    def line(self, width: int) -> str:
        verdict = "ok  " if self.kept else "OVER"
        return f"{verdict} {self.name:<{width}} {self.value:>9.3f} {self.unit:<8} at most {self.limit:g}   {self.method}"


def machine() -> str:
    """Processor, cores, system and Python of this machine."""
    names = [line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")]
    return (
        f"{names[0] if names else platform.machine()}, {len(names) or '?'} cores, {platform.system()} {platform.release()}, "
        + (f"Python {platform.python_version()}")
    )


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8").splitlines() if path.exists() else []
