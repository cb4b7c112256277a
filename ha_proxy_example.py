#!/usr/bin/env python3
"""Be an ESPHome device for Home Assistant: `python ha_proxy_example.py config.ini` (see docs/home-assistant.md)."""

import sys
from pathlib import Path

try:
    from renogybt.cli.run import main
except ModuleNotFoundError as error:
    sys.exit(
        f"The package {error.name} is missing. Install what is needed with:  python3 -m pip install -r requirements.txt"
    )

if __name__ == "__main__":
    sys.exit(main(beside=str(Path(__file__).resolve().parent), esphome=True))
