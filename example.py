#!/usr/bin/env python3
"""Read the devices of a configuration file: `python example.py config.ini` (see README.md)."""

import sys
from pathlib import Path

try:
    from renogybt.cli.run import main
except ModuleNotFoundError as error:
    sys.exit(
        f"The package {error.name} is missing. Install what is needed with:  python3 -m pip install -r requirements.txt"
    )

if __name__ == "__main__":
    sys.exit(main(beside=str(Path(__file__).resolve().parent)))
