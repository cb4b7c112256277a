"""What PVOutput says: its texts, read."""

from __future__ import annotations

import re
from collections.abc import Iterable

from renogybt.sinks.pvoutput.status import Slot

SHOWN = 160
"""Characters of a server's text that a log line repeats."""


def rows(text: str) -> dict[Slot, list[str]]:
    """The further columns of `date,time,...;date,time,...`, by (YYYYMMDD, HH:MM); what is no such row is left out.

    So answer addbatchstatus (then the one column 1 or 2 for taken, 0 for left as it was) and getstatus (the values).
    """
    found = {}
    for line in re.split(r"[;\r\n]+", text):
        d, t, *more = [part.strip() for part in line.split(",")] + [""] * 2
        time = re.fullmatch(r"(\d\d):?(\d\d)", t)
        if re.fullmatch(r"\d{8}", d) and time:
            found[d, f"{time[1]}:{time[2]}"] = more
    return found


def taken(text: str) -> tuple[set[Slot], set[Slot]]:
    """The slots that a batch has put in, and those it left as they were."""
    flags = {slot: columns[0] for slot, columns in rows(text).items()}
    return {slot for slot, flag in flags.items() if flag in ("1", "2")}, {
        slot for slot, flag in flags.items() if flag == "0"
    }


def too_old(text: str) -> str:
    """The date in "Date is older than 14 days [20140718]"; "" when it says something else."""
    found = re.search(r"older than \d+ days?\W*\[?(\d{8})", text, re.IGNORECASE)
    return found[1] if found else ""


def moon(text: str) -> bool:
    """Generated energy was claimed for the middle of the night."""
    return "moon powered" in text.casefold()


def spent(text: str) -> bool:
    """The requests of this hour are used up ("Exceeded 60 requests per hour")."""
    return re.search(r"exceeded.*requests", text, re.IGNORECASE | re.DOTALL) is not None


def quoted(text: str, secrets: Iterable[str]) -> str:
    """A server's text fit for one line of a log, without secrets it may repeat."""
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return f'"{line[:SHOWN]}{"..." if len(line) > SHOWN else ""}"' if line else "nothing"
