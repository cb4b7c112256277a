"""Loading a library without a part of it that is never used here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import ModuleType


@contextmanager
def spared(name: str, needed_with: str) -> Iterator[None]:
    """Imports inside this block find an empty module `name`, unless it is loaded already, or `needed_with` is installed.

    What is imported later gets the real one.
    """
    if name in sys.modules or find_spec(needed_with) is not None:
        yield
        return
    sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        del sys.modules[name]
