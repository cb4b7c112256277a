"""A small MQTT broker inside the demo, so that it needs nothing installed. Keeps everything in memory.

The only room besides `ble/` and `proxy/` that touches asyncio: the broker library knows nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from typing import Any

from renogybt.errors import OutletError, UserError

HOST, USUAL_PORT = "127.0.0.1", 1883
START_LIMIT, STOP_LIMIT = 10.0, 5.0


def free_port(wished: int = USUAL_PORT) -> int:
    """`wished` if nobody listens there, else a free one."""
    for port in (wished, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OutletError(f"no free port on {HOST}; is the network of this machine up (ip address show lo)?")


class EmbeddedBroker:
    """Listens on 127.0.0.1:`port` from `start` to `stop`, in a thread of its own. Whoever comes is let in."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)

    def start(self) -> None:
        """Return when it listens. Raises `UserError` when the library is missing, `OutletError` when it cannot listen."""
        _library()
        self._thread.start()
        if not self._ready.wait(START_LIMIT) or self._failure:
            raise OutletError(f"the demo's MQTT broker cannot listen on {HOST}:{self.port}: {self._failure or 'no answer'}")

    def stop(self) -> bool:
        """End the broker and close its connections. True when it has ended; calling again is harmless."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_LIMIT)
        return not self._thread.is_alive()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        library, refusal = _library()
        broker = None
        try:
            broker = self._loop.run_until_complete(_listening(library, self.port))
        except (refusal, OSError) as error:
            self._failure = error
        self._ready.set()
        if broker:
            self._loop.run_forever()
            self._loop.run_until_complete(_shut(broker))
        self._loop.close()


async def _listening(library: Any, port: int) -> Any:
    broker = library(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    return broker


def _library() -> tuple[Any, type[Exception]]:
    """The broker class of amqtt, told to keep quiet, and what it raises. Raises `UserError` when it is not installed."""
    try:
        from amqtt.broker import Broker
        from amqtt.errors import BrokerError
    except ImportError as error:
        raise UserError(
            "the demo brings its own MQTT broker, but its library amqtt is not installed; "
            "install it with: pip install 'renogybt[demo]' (or: pip install amqtt)"
        ) from error
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return Broker, BrokerError


async def _shut(broker: Any) -> None:
    """Give the broker and its connections a moment to end by themselves, then cut them off."""
    ending = asyncio.ensure_future(broker.shutdown())
    await asyncio.wait({ending}, timeout=STOP_LIMIT / 2)
    leftovers = asyncio.all_tasks() - {asyncio.current_task()}
    if leftovers:
        await asyncio.wait(leftovers, timeout=0.5)
    for task in leftovers:
        task.cancel()
    await asyncio.gather(ending, *leftovers, return_exceptions=True)
