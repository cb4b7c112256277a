"""The house keeps its own rules: who may import whom, where bleak, paho and asyncio live, how long a file may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "renogybt"
RANKS = {
    "breaker": 0,
    "command": 0,
    "errors": 0,
    "incident": 0,
    "reading": 0,
    "settings": 0,
    "worker": 0,
    "version": 0,
    "protocol": 1,
    "devices": 2,
    "link": 2,
    "outbox": 2,
    "config": 3,
    "ble": 3,
    "simulator": 3,
    "sources": 3,
    "sinks": 3,
    "energy": 3,
    "history": 3,
    "data_logger": 4,
    "proxy": 4,
    "service": 5,
    "clients": 6,
    "utils": 6,
    "cli": 7,
}
ONLY_IN = {
    "asyncio": {"ble", "proxy", "simulator.broker"},
    "bleak": {"ble"},
    "dbus_fast": {"ble"},
    "paho": {"sinks"},
    "requests": {"sinks"},
    "sqlite3": {"outbox", "history"},
    "urllib3": {"sinks"},
    "configparser": {"config", "clients", "data_logger"},
    "amqtt": {"simulator.broker"},
    "aioesphomeapi": {"proxy"},
    "cryptography": {"proxy"},
    "ifaddr": {"proxy"},
    "noise": {"proxy"},
    "zeroconf": {"proxy"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" if node.module == "renogybt" else node.module for alias in node.names}
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_from_lower_ranks(path: Path) -> None:
    room = room_of(name_of(path))
    if not room:
        return
    for imported in imports_of(path):
        if imported.startswith("renogybt."):
            other = room_of(imported)
            assert other == room or RANKS[other] < RANKS[room], f"{name_of(path)} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_radio_network_and_loop_stay_in_their_rooms(path: Path) -> None:
    name = name_of(path)
    for imported in imports_of(path):
        homes = ONLY_IN.get(imported.split(".")[0])
        if homes is not None:
            inside = name.removeprefix("renogybt.")
            assert any(inside == home or inside.startswith(f"{home}.") for home in homes), f"{name} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_is_read_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 400


def test_only_thread_frames_catch_everything() -> None:
    broad = [
        f"{name_of(path)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"}))
    ]
    homes = {place.split(":")[0] for place in broad}
    assert homes <= {"renogybt.worker", "renogybt.ble.thread"}, broad


def test_requirements_txt_repeats_pyproject() -> None:
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    assert sorted(line for line in lines if line and not line.startswith("#")) == sorted(wanted)
