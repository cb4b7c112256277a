#!/usr/bin/env python3
"""The predecessor's second program. Reads the same configuration file as example.py and does what that does."""

import sys
from pathlib import Path

from renogybt.cli.run import main

if __name__ == "__main__":
    sys.exit(main(beside=str(Path(__file__).resolve().parent)))
