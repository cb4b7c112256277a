"""Writes the register pages: `python -m renogybt.devices.pages docs/registers`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from renogybt.devices import FAMILIES, family
from renogybt.protocol.docs import register_table

VARIANTS = {
    "battery_rngrbp": "battery",
    "battery_rngc": "battery",
    "battery_rngpro": "battery",
    "dc_charger_g6": "dc_charger",
    "inverter_rego": "inverter",
    "inverter_riv4835": "inverter",
}
"""Tables that are described by how they differ from another."""

BANK = "bank:48,49"
"""Stands for every bank."""

INDEX = """\
# Registers

Made from the tables in `renogybt/devices/` by `make docs`; a test fails when they are stale. To correct a register, change
its row there.

Addresses are Modbus registers, words are sent high byte first, and two-word numbers have the high word first. A value
outside its range is dropped, never published; the rest of the reading stays. `u` means unsigned and `s` signed, followed
by the number of bits; `u16 / 10` counts tenths.
"""


def pages() -> Iterator[tuple[str, str]]:
    """Name and content of every page."""
    lines = []
    for key in (*FAMILIES, BANK):
        table = family(key)
        base = FAMILIES[VARIANTS[key]] if key in VARIANTS else None
        name = f"{key.split(':')[0]}.md"
        lines.append(f"- [{table.title}]({name})")
        yield name, register_table(table, base)
    yield "index.md", INDEX + "\n" + "\n".join(lines) + "\n"


def write(folder: Path) -> None:
    """Write every page into `folder`, and remove pages of tables that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    written = dict(pages())
    for name, text in written.items():
        (folder / name).write_text(text, encoding="utf-8")
    for old in folder.glob("*.md"):
        if old.name not in written:
            old.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/registers"))
