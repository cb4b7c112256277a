"""Peers that every test may ask for, how tests that make up their data do it, and how all of them share the processes."""

from __future__ import annotations

import ast
import gc
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.peers.fixtures import fake_bluez

__all__ = ["fake_bluez"]

# A busy machine is no fault of the code, and a run that failed can be repeated: the same examples each time. To look for new
# ones: --hypothesis-profile=default
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")

_parse = ast.parse


def undisturbed(*given: Any, **named: Any) -> Any:
    """`ast.parse` without garbage collection. What tests of event loops leave behind complains when it is collected,
    its traceback is parsed for that, and Python before 3.13 takes a parsing within a parsing for a SystemError."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return _parse(*given, **named)
    finally:
        if collects:
            gc.enable()


pytest.MonkeyPatch().setattr(ast, "parse", undisturbed)

ALONE = ("tests/soak/", "tests/e2e/", "tests/ble/", "tests/proxy/test_remote", "test_optimizations.py")
"""Files whose tests may go to different processes: they wait for seconds, and share nothing that takes long to set up."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait longest come first, so that no process is left with them at the end."""
    items.sort(key=lambda item: next((n for n, path in enumerate(ALONE) if item.nodeid.startswith(path)), len(ALONE)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `-n`: one file, one process, for what its tests share; the longest go test by test, so that all end together."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Balanced(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith(ALONE) else super()._split_scope(nodeid)

    config.option.loadscopereorder = False  # else the files with many quick tests come first, and the long ones at the end
    return Balanced(config, log)
