"""How a measured figure is shown."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path

TABLE = ("| What | Measured | Promised | How |", "| --- | --- | --- | --- |")


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` was measured; `limit` is promised: at most so much, or with `least` at least; None promises nothing."""

    name: str
    value: float
    limit: float | None
    unit: str
    method: str
    least: bool = False

    @property
    def kept(self) -> bool:
        if self.limit is None:
            return True
        return self.value >= self.limit if self.least else self.value <= self.limit

    @property
    def promise(self) -> str:
        if self.limit is None:
            return "no limit"
        return f"at {'least' if self.least else 'most'} {self.limit:g}"

    @property
    def shown(self) -> str:
        """The value with three digits or so, and its unit."""
        if isinstance(self.value, int):
            number = str(self.value)
        else:
            size = abs(self.value)
            number = f"{self.value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3}f}"
        return f"{number} {self.unit}".rstrip()

    def line(self, width: int) -> str:
        verdict = "    " if self.limit is None else "ok  " if self.kept else "OVER"
        return f"{verdict} {self.name:<{width}} {self.shown:>14}   {self.promise:<12}  {self.method}"

    def row(self) -> str:
        """A row of a table in Markdown."""
        promise = "" if self.limit is None else self.promise if self.kept else f"{self.promise}: OVER"
        return f"| {self.name} | {self.shown} | {promise} | {self.method} |"


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
