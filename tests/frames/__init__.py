"""Captured and made frames with their expected values: `captured.json`, read once."""

import json
from pathlib import Path
from typing import Any

FRAMES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "captured.json").read_text("utf-8"))["frames"]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [frame for frame in FRAMES if frame["kind"] in kinds]


def named(name: str) -> dict[str, Any]:
    return next(frame for frame in FRAMES if frame["id"] == name)
