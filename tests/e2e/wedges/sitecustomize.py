"""Python loads this at its start when this folder is on PYTHONPATH: ways to wedge a running program from outside.

SIGUSR1: the main thread hangs for good. SIGUSR2: so does every event loop there is and will be. That is then noticed after
2 s, not 30, and systemd is told that threads are being replaced for 5 s at most, not 60.
"""

import gc
import signal
import sys
import threading
import time


def wedge_main(*_: object) -> None:
    print("wedged", flush=True)
    time.sleep(3600)


def wedge_loops(*_: object) -> None:
    keeper = sys.modules["renogybt.service.keeper"]
    keeper.HEARTBEAT_LIMIT = 2.0  # type: ignore[attr-defined]
    keeper.SHORTEST_LIFE = 1.0  # type: ignore[attr-defined]
    sys.modules["renogybt.service.systemd"].RECYCLING_LIMIT = 5.0  # type: ignore[attr-defined]
    threading.Thread(target=keep_wedging, daemon=True).start()


def keep_wedging() -> None:
    from asyncio import BaseEventLoop

    while True:
        for loop in [each for each in gc.get_objects() if isinstance(each, BaseEventLoop) and each.is_running()]:
            loop.call_soon_threadsafe(time.sleep, 3600)
        time.sleep(0.2)


signal.signal(signal.SIGUSR1, wedge_main)
signal.signal(signal.SIGUSR2, wedge_loops)
