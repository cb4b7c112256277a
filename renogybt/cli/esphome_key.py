"""`renogybt esphome-key`: make a key for the encrypted connection between Home Assistant and the bridge."""

from __future__ import annotations

import sys
from binascii import b2a_base64
from secrets import token_bytes

from renogybt.settings.outlets import KEY_SIZE

EXIT_USAGE = 2


def main(argv: list[str] | None = None, beside: str = "") -> int:
    """Print a new key and where it belongs. Nothing is changed, and no two runs give the same key."""
    words = sys.argv[1:] if argv is None else argv
    if [word for word in words if word != "esphome-key"]:
        help_asked = any(word in ("-h", "--help") for word in words)
        print(__doc__, "It takes no further words.", sep="\n", file=sys.stdout if help_asked else sys.stderr)
        return 0 if help_asked else EXIT_USAGE
    key = b2a_base64(token_bytes(KEY_SIZE), newline=False).decode()
    print("Put this line into [home_assistant_proxy] of your config.ini, and restart the bridge:\n")
    print(f"encryption_key = {key}\n")
    print("Home Assistant asks for the key (without the words before it) when it connects. Keep it to yourself.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
