"""How long finding and connecting may take, and what a failed attempt calls for. Pure: no clock, no radio."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from renogybt.settings import Bluetooth

DISCOVERY = 30.0
"""Seconds all attempts to find a module may take together, unless the settings ask for more."""
CLEAN_UP = 5.0
"""Seconds, beside the scanning itself, in which an attempt to find a module must have come to its end."""
SHORTEST, STEP, STEPS = 25.0, 5.0, 4
CLOSING = 5.0
MARGIN = 5.0
FEWEST = 1.0
"""Seconds that must be left to begin another attempt to connect."""
QUICK_RETRIES = 3
OPERATION_LIMIT, WRITE_LIMIT, DISCONNECT_LIMIT = 10.0, 5.0, 5.0
"""Seconds for one step of a connection to a module, whatever radio it is over."""
CLEAN_UP_SHARE = 0.2
"""Part of the time for connecting that is kept back to undo an attempt that failed."""
BARE_LIMIT = 3
"""So often in a row a module may show none of its services; then BlueZ's stored picture of it is thrown away."""


def budget(failures: int, fixed: float = 0.0) -> float:
    """Seconds for a connection to come about after so many failures in a row; `fixed` is the user's own figure, 0: none."""
    return fixed or SHORTEST + STEP * min(STEPS, failures)


class Plan(NamedTuple):
    """How a module is looked for: `attempts` scans of `seconds`, `delay` between, `total` seconds at most."""

    attempts: int
    seconds: float
    delay: float
    total: float
    fixed: float
    """Seconds for connecting as the user wants it, 0: not said."""

    def cycle(self, failures: int) -> float:
        """Seconds from the beginning of a cycle in which connections may be made."""
        return self.total + budget(failures, self.fixed)

    @property
    def longest(self) -> float:
        """Seconds after which a cycle has ended by itself, whatever happens: 80 unless the settings ask for more."""
        return self.cycle(STEPS) + CLOSING


def plan(wish: Bluetooth, patient: bool = False) -> Plan:
    """`patient`: twice the attempts, for a run that has no next time."""
    attempts = wish.discovery_retries * (2 if patient else 1)
    asked = attempts * wish.discovery_timeout + (attempts - 1) * wish.discovery_delay + CLEAN_UP
    return Plan(attempts, wish.discovery_timeout, wish.discovery_delay, max(DISCOVERY, asked), wish.connection_timeout)


def cycle_limit(wish: Bluetooth) -> float:
    """Seconds after which the cycle of a section counts as stuck: more than all its time limits together."""
    return plan(wish).longest + MARGIN


class Cure(Enum):
    """What a failed attempt to connect calls for."""

    GIVE_UP = "give up until the next turn"
    AGAIN = "try again at once"
    LOOK = "look for it anew, BlueZ's memory of it is no use"
    FORGET = "forget all that BlueZ said, it is not the same any more"
    UNBOND = "throw the stored keys away"
    RENEW = "throw BlueZ's stored picture of its services away"


@dataclass(slots=True, eq=False, repr=False)
class Attempts:
    """What was tried already in this opening of a connection."""

    quick: int = 0
    looked: bool = False
    forgot: bool = False

    def allow(self, cure: Cure) -> bool:
        """Count `cure`; False when it was used up."""
        if cure is Cure.AGAIN:
            self.quick += 1
            return self.quick <= QUICK_RETRIES
        if cure is Cure.LOOK:
            fresh, self.looked = not self.looked, True
            return fresh
        if cure is Cure.FORGET:
            fresh, self.forgot = not self.forgot, True
            return fresh
        return cure is not Cure.GIVE_UP

    @property
    def pause(self) -> float:
        """Seconds before a quick retry: 0.25, 0.5, 1."""
        return 0.25 * float(2 ** max(0, self.quick - 1))
