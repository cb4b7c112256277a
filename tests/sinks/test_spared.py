"""What is left out while a library loads is there for everybody who asks for it later."""

import subprocess
import sys

PROGRAM = """
import sys
from renogybt.sinks import connection
assert "urllib.request" not in sys.modules
connection.Client(connection.CallbackAPIVersion.VERSION2)
import urllib.request
print(callable(urllib.request.getproxies))
import paho.mqtt.client
assert paho.mqtt.client.Client is connection.Client
"""


def test_paho_is_loaded_without_urllib_request_which_stays_available() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True\n"
