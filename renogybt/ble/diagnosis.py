"""What is wrong with Bluetooth, and what to try next. Pure: whoever asks brings the facts and the time.

The remedies are a ladder: each rung is tried once, then there is a wait for its effect, and only while the trouble stands
the next rung follows. What resets something (`RESETS`) is limited per hour besides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from renogybt.ble.resets import Memory, Resets
from renogybt.settings import Watchdog

Rung = Literal["stop_discovery", "drop_bus", "power_cycle", "new_loop", "restart_service", "leave"]
Family = Literal["scan", "service"]
LADDER: tuple[Rung, ...] = ("stop_discovery", "drop_bus", "power_cycle", "new_loop", "restart_service", "leave")
RESETS: tuple[Rung, ...] = ("power_cycle", "new_loop", "restart_service")
RESTARTS_PER_HOUR = 2
"""How often at most bluetooth.service is restarted."""
SETTLE: Mapping[str, float] = {
    "stop_discovery": 3.0,
    "drop_bus": 4.0,
    "power_cycle": 10.0,
    "new_loop": 30.0,
    "restart_service": 30.0,
    "leave": 120.0,
}
"""Seconds until the effect of a rung can be judged."""
HELD = 15.0
"""Seconds a scan of ours may be overdue."""
GENTLE = 0.85
"""Part of `stuck_seconds` after which the rungs that reset nothing are climbed, so that a reset need not wait for them."""
SILENT_SCANS = FAILED_SCANS = 3
UNANSWERED = 2
"""Looks at an adapter in a row that BlueZ left without an answer."""
POWER_FAILURES = 2
ABSENT = 60.0
"""Seconds that bluetoothd or an adapter may be missing before the service is restarted."""
CALM = 300.0
LONGEST_PAUSE = 3600.0


class AdapterFacts(Struct, frozen=True):
    """One adapter, `name` "" while it is not known which. The next four come from BlueZ, the others from our own use of it.

    Scans, answers and attempts to switch it on are those in vain, in a row.
    """

    name: str
    powered: bool = True
    blocked: bool = False
    discovering_since: float | None = None
    absent_since: float | None = None
    session_since: float | None = None
    good_at: float | None = None
    failing_since: float | None = None
    silent_scans: int = 0
    failed_scans: int = 0
    unanswered: int = 0
    power_failures: int = 0

    @property
    def usable(self) -> bool:
        return self.powered and self.absent_since is None


class Facts(Struct, frozen=True):
    """`gone_since`: no bluetoothd since then. `longest_scan`: seconds one scan of ours may take."""

    now: float
    gone_since: float | None = None
    adapters: tuple[AdapterFacts, ...] = ()
    longest_scan: float = 5.0


class Trouble(Struct, frozen=True):
    """Troubles of one `family` share one climb of the ladder. `adapter` is "" when it is about all of them."""

    text: str
    rungs: tuple[Rung, ...]
    adapter: str = ""
    family: Family = "scan"


class Step(Struct, frozen=True):
    """`refused`: it is a reset, and there were too many of them within an hour."""

    trouble: Trouble
    rung: Rung
    refused: bool = False


def diagnose(facts: Facts, settings: Watchdog) -> Trouble | None:
    """The worst thing that a rung of the ladder might mend, None when there is none."""
    now = facts.now
    if facts.gone_since is not None:
        if now - facts.gone_since < ABSENT:
            return None
        return Trouble(f"bluetoothd has been away for {now - facts.gone_since:.0f} s", LADDER[4:], "", "service")
    for adapter in facts.adapters:
        found = _present(adapter, now) if not adapter.usable or adapter.unanswered else None
        found = found or (_scans(adapter, facts, settings) if adapter.usable else None)
        if found is not None:
            return found
    return None


def _present(adapter: AdapterFacts, now: float) -> Trouble | None:
    name = adapter.name or "the Bluetooth adapter"
    if adapter.unanswered >= UNANSWERED:
        rungs = LADDER[2:] if adapter.name else LADDER[3:]
        return Trouble(f"BlueZ does not answer questions about {name}", rungs, adapter.name, "service")
    if adapter.absent_since is not None and now - adapter.absent_since >= ABSENT:
        text = f"{name} has been away for {now - adapter.absent_since:.0f} s"
        return Trouble(text, LADDER[4:], adapter.name, "service")
    if not adapter.powered and not adapter.blocked and adapter.power_failures >= POWER_FAILURES:
        return Trouble(f"{name} cannot be switched on", LADDER[4:], name, "service")
    return None


def _scans(adapter: AdapterFacts, facts: Facts, settings: Watchdog) -> Trouble | None:
    now, name = facts.now, adapter.name
    if held(adapter, facts, settings):
        return Trouble(f"a scan of ours on {name} should have ended long ago", LADDER, name)
    if (since := stuck_since(adapter, settings)) is not None and now - since >= GENTLE * settings.stuck_seconds:
        assert adapter.discovering_since is not None
        seconds = now - adapter.discovering_since
        why = "nothing can be read" if adapter.failing_since is not None else "foreign_discovery = reset"
        rungs = LADDER if now - since >= settings.stuck_seconds else LADDER[: LADDER.index(RESETS[0])]
        return Trouble(f"{name} has been scanning for {seconds:.0f} s, not for us, and {why}", rungs, name)
    if adapter.failed_scans >= FAILED_SCANS:  # also while a module that is connected answers: the others are never found
        return Trouble(f"{adapter.failed_scans} scans in a row on {name} could not be started or ended", LADDER, name)
    if adapter.silent_scans >= SILENT_SCANS and adapter.failing_since is not None:
        return Trouble(f"{adapter.silent_scans} scans in a row on {name} heard nothing at all", LADDER[2:], name)
    return None


def held(adapter: AdapterFacts, facts: Facts, settings: Watchdog) -> bool:
    """Whether BlueZ still scans for us although we stopped, or meant to."""
    if adapter.session_since is None or adapter.discovering_since is None:
        return False
    return facts.now - adapter.session_since > facts.longest_scan + min(HELD, settings.stuck_seconds)


def stuck_since(adapter: AdapterFacts, settings: Watchdog) -> float | None:
    """Since when the adapter scans, not for us, and readings fail at the same time. None: one of it is not so.

    With `foreign_discovery = reset` the readings do not matter.
    """
    if adapter.discovering_since is None:
        return None
    if settings.foreign_discovery == "reset":
        return adapter.discovering_since
    if adapter.failing_since is None:
        return None
    return max(adapter.discovering_since, adapter.failing_since)


def foreign_and_harmless(adapter: AdapterFacts, now: float, settings: Watchdog) -> bool:
    """Another program scans without end, and readings succeed all the same."""
    if adapter.discovering_since is None or adapter.session_since is not None or adapter.failing_since is not None:
        return False
    return settings.foreign_discovery == "ignore" and now - adapter.discovering_since >= settings.stuck_seconds


def next_step(facts: Facts, settings: Watchdog, resets: Resets) -> Step | None:
    """What to do now, counted and remembered as tried; None: nothing."""
    trouble = diagnose(facts, settings)
    if trouble is None:
        return None
    may_restart = resets.recent(facts.now, "restart_service") < RESTARTS_PER_HOUR
    rung = next_rung(trouble, resets.memory, facts.now, settings, may_restart)
    if rung is None:
        return None
    if rung in RESETS and not resets.take(facts.now, rung):
        return Step(trouble, rung, refused=True)
    tried(resets.memory, rung, trouble, facts.now)
    return Step(trouble, rung)


def next_rung(trouble: Trouble, memory: Memory, now: float, settings: Watchdog, may_restart: bool) -> Rung | None:
    """What to do now about the trouble, None: wait. `may_restart`: the service was not restarted too often already."""
    possible = [rung for rung in trouble.rungs if _possible(rung, settings, may_restart)]
    if not possible:
        return None
    if not memory.rung or memory.family != trouble.family:
        waited = not memory.rung or now - memory.at >= settle(memory.rung, settings)
        return possible[0] if waited else None
    if now - memory.at < settle(memory.rung, settings):
        return None
    reached = LADDER.index(memory.rung)
    for rung in possible:
        if LADDER.index(rung) > reached:
            return rung
    if now - memory.at < pause(memory.rounds, settings):
        return None
    return next((rung for rung in possible if rung in RESETS), None)


def tried(memory: Memory, rung: Rung, trouble: Trouble, now: float) -> None:
    """Remember a rung; one that is not above the one before begins a new round."""
    again = memory.family == trouble.family and memory.rung and LADDER.index(rung) <= LADDER.index(memory.rung)
    memory.rounds = memory.rounds + 1 if again else memory.rounds if memory.family == trouble.family else 0
    memory.rung, memory.family, memory.at = rung, trouble.family, now


def settle(rung: Rung, settings: Watchdog) -> float:
    return min(SETTLE[rung], settings.interval)


def pause(rounds: int, settings: Watchdog) -> float:
    """Seconds before the ladder is climbed again; longer each time, because what did not help twice seldom helps thrice."""
    return min(settings.interval * 2.0 ** min(rounds, 12), LONGEST_PAUSE)


def calm(facts: Facts, memory: Memory, settings: Watchdog) -> bool:
    """Whether the last remedy helped for good: something was read since, nothing fails, and a while has passed."""
    if facts.now - memory.at < min(CALM, 5 * settings.interval) or facts.gone_since is not None:
        return False
    well = [a for a in facts.adapters if a.usable and a.failing_since is None and a.failed_scans < FAILED_SCANS]
    return len(well) == len(facts.adapters) and any((adapter.good_at or 0.0) > memory.at for adapter in well)


def _possible(rung: Rung, settings: Watchdog, may_restart: bool) -> bool:
    if rung == "restart_service":
        return settings.restart_bluetooth and may_restart
    return settings.leave_for_systemd if rung == "leave" else True
