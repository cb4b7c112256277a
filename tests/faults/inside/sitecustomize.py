"""Lets a test do things inside the program under test, which knows nothing of it: Python imports this at its start.

Code that arrives at the socket named in FAULTS_HAND is executed in a thread of its own; what it calls `said` goes back.
"""

import os
import socket
import threading
import traceback


def _serve(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            caller, _ = listener.accept()
            with caller, caller.makefile("rb") as words:
                names: dict[str, object] = {"said": "ok"}
                try:
                    exec(words.read(), names)
                    answer = str(names["said"])
                except Exception:  # noqa: BLE001 - whatever it is, the test is to see it
                    answer = traceback.format_exc()
                caller.sendall(answer.encode())


if (place := os.environ.pop("FAULTS_HAND", "")) != "":
    threading.Thread(target=_serve, args=(place,), name="hand", daemon=True).start()
