"""Rules that make the service misbehave on purpose, and a call that is answered exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbus_fast import Message, MessageFlag

from tests.peers.bluez.journal import Entry

FAILED = "org.bluez.Error.Failed"
IN_PROGRESS = ("org.bluez.Error.InProgress", "Operation already in progress")
NOT_READY = ("org.bluez.Error.NotReady", "Resource Not Ready")
NOT_SUPPORTED = ("org.bluez.Error.NotSupported", "Operation is not supported")
NOT_CONNECTED = ("org.bluez.Error.NotConnected", "Not Connected")
DOES_NOT_EXIST = ("org.bluez.Error.DoesNotExist", "Does Not Exist")
BUSY = ("org.bluez.Error.Busy", "Busy")
BLOCKED = ("org.bluez.Error.Blocked", "Blocked through rfkill")
NOTIFY_ACQUIRED = ("org.bluez.Error.NotPermitted", "Notify acquired")
GONE = ("org.freedesktop.DBus.Error.NoReply", "Message recipient disconnected from message bus without replying")
LINK_LOST = (FAILED, "Operation failed with ATT error: 0x0e")


class Call:
    """A method call waiting for its answer. Only the first answer goes out; `verdict` replaces a good one."""

    def __init__(self, message: Message, entry: Entry, send: Callable[[Message], Any]) -> None:
        self.message, self.entry, self._send = message, entry, send
        self.verdict: tuple[str, str] | None = None

    @property
    def sender(self) -> str:
        return self.message.sender or ""

    @property
    def body(self) -> list[Any]:
        return list(self.message.body)

    def done(self, signature: str = "", body: list[Any] | None = None, fds: list[int] | None = None) -> None:
        if self.verdict is not None:
            self.fail(*self.verdict)
        elif self._closes("ok"):
            self._send(Message.new_method_return(self.message, signature, body or [], fds or []))

    def fail(self, name: str, text: str) -> None:
        if self._closes(f"{name}: {text}"):
            self._send(Message.new_error(self.message, name, text))

    def _closes(self, result: str) -> bool:
        if self.entry["result"] is not None:
            return False
        self.entry["result"], self.entry["replied"] = result, time.monotonic()
        return not self.message.flags & MessageFlag.NO_REPLY_EXPECTED


@dataclass(slots=True)
class Rule:
    """What to do with calls of `member` whose path contains `path`.

    action: hang | ok_but_nothing | abort_local | error | delay; for the member "resolve": never | empty | torn | former.
    `effect`: an error comes after the work was done all the same.
    """

    member: str
    action: str
    name: str = ""
    text: str = ""
    seconds: float = 0.0
    effect: bool = False
    times: int | None = None
    skip: int = 0
    path: str = ""


class Faults:
    def __init__(self) -> None:
        self.rules: list[Rule] = []

    def take(self, member: str, path: str) -> Rule | None:
        """The first rule that wants this call; a counted rule is used up by it."""
        for rule in self.rules:
            if rule.member != member or rule.path not in path:
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times <= 0:
                    self.rules.remove(rule)
            return rule
        return None

    def clear(self, member: str = "") -> None:
        self.rules = [rule for rule in self.rules if member and rule.member != member]
