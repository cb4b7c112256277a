"""No call of bleak or dbus_fast is awaited without a limit that holds.

`asyncio.wait_for` and `asyncio.timeout` are no such limit: a cancelled bleak call cleans up, and that may wait for ever.
"""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "renogybt"
LIBRARIES = ("bleak", "dbus_fast")
WAITING = {
    "advertisement_data",
    "async_init",
    "call",
    "check_bluez_version",
    "connect",
    "disconnect",
    "discover",
    "find_device_by_address",
    "find_device_by_filter",
    "find_device_by_name",
    "get_global_bluez_manager",
    "get_services",
    "introspect",
    "pair",
    "read_gatt_char",
    "read_gatt_descriptor",
    "release_name",
    "request_name",
    "send",
    "start",
    "start_notify",
    "stop",
    "stop_notify",
    "unpair",
    "wait_for_disconnect",
    "write_gatt_char",
    "write_gatt_descriptor",
}
"""What of them may have to be awaited."""
ENTERED = {"BleakClient", "BleakScanner", "MessageBus"}
"""What must not be used with `async with`: it waits on the way in and out."""
OURS = {
    "adapter.py": ("self._scan.start(", "self._scan.stop("),
    "bus.py": ("bus.wait_for_disconnect(",),
}
"""Methods of our own that are called as theirs are, and what is meant to go on until the end without anybody waiting."""


def bare(source: str) -> list[str]:
    """Line and text of each call that waits without a limit."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    own = own_names(tree)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]
    limits = {"bounded"} | {function.name for function in functions if hands_on(function)}
    limited = {call for function in functions for call in limited_calls(function, limits)}
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and waits(node, own)]
    found = [node for node in found if node not in limited and not isinstance(parents[node], ast.Expr)]
    found += [call for node in ast.walk(tree) if isinstance(node, ast.AsyncWith) for call in entered(node)]
    return [f"{node.lineno}: {ast.unparse(node)}" for node in found]


def own_names(tree: ast.AST) -> set[str]:
    """Our own modules and functions: these have limits inside, and are looked at where they are."""
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    ours = {
        alias.asname or alias.name for node in froms if (node.module or "").startswith("renogybt") for alias in node.names
    }
    here = {node.name for node in ast.iter_child_nodes(tree) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)}
    return ours | here


def hands_on(function: ast.AsyncFunctionDef) -> bool:
    """Whether it takes work as its first argument and does nothing with it but hand it to `bounded`."""
    names = [argument.arg for argument in function.args.args if argument.arg != "self"][:1]
    uses = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id in names]
    handed = [node.args[0] for node in ast.walk(function) if called(node) == "bounded" and node.args]  # type: ignore[attr-defined]
    return bool(uses) and all(use in handed for use in uses)


def called(node: ast.AST) -> str:
    """Name of the function that is called here, or of the method of `self`."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "self":
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def limited_calls(function: ast.AsyncFunctionDef, limits: set[str]) -> Iterator[ast.expr]:
    """What is handed to one of `limits`, directly or by a name of its own."""
    assigned = {
        target.id: node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and called(node) in limits and node.args:
            work = node.args[0]
            yield assigned.get(work.id, work) if isinstance(work, ast.Name) else work


def waits(node: ast.Call, own: set[str]) -> bool:
    if isinstance(node.func, ast.Name):
        return node.func.id in WAITING - own
    if not isinstance(node.func, ast.Attribute) or node.func.attr not in WAITING:
        return False
    owner = node.func.value
    return not (isinstance(owner, ast.Name) and owner.id in own | {"self"})


def entered(node: ast.AsyncWith) -> Iterator[ast.Call]:
    for item in node.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ENTERED:
            yield call


def concerns(path: Path) -> bool:
    """Whether a file could hold something of these libraries: all of ble/, and whoever imports them."""
    if path.parent.name == "ble":
        return True
    tree = ast.parse(path.read_text("utf-8"))
    modules = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    modules += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    return any(module.split(".")[0] in LIBRARIES for module in modules)


FILES = sorted(path for path in PACKAGE.rglob("*.py") if concerns(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_waits_for_bleak_without_a_limit(path: Path) -> None:
    allowed = OURS.get(path.name, ())
    found = bare(path.read_text("utf-8"))
    assert [line for line in found if not line.partition(": ")[2].startswith(allowed or ("nothing",))] == []


@pytest.mark.parametrize(
    "snippet",
    [
        "async def f(client):\n    await client.connect()",
        "async def f(client):\n    await asyncio.wait_for(client.connect(), 5)",
        "async def f(client):\n    async with asyncio.timeout(5):\n        await client.disconnect()",
        "async def f(self):\n    await self._client.write_gatt_char(1, b'')",
        "async def f(self):\n    await self._bus.call(message)",
        "async def f():\n    async with BleakClient(device) as client:\n        pass",
        "async def f():\n    return await BleakScanner.discover()",
        "async def f(scanner):\n    task = asyncio.create_task(scanner.start())\n    await task",
        "async def f(scanner):\n    await asyncio.gather(scanner.stop(), scanner.stop())",
        "async def f(scanner):\n    work = scanner.stop()\n    await work",
        "async def f():\n    manager = await get_global_bluez_manager()",
        "async def f(bus):\n    reply = await bus.introspect('org.bluez', '/')",
        "async def f(bus):\n    await bounded(asyncio.wait_for(bus.call(m), 9), 5, 'x')",
        "async def do(work):\n    await work\nasync def f(bus):\n    await do(bus.call(m))",
        "async def do(work):\n    await asyncio.wait_for(work, 5)\nasync def f(bus):\n    await do(bus.call(m))",
        "async def do(work):\n    await bounded(work, 5, 'x')\n    await work\nasync def f(bus):\n    await do(bus.call(m))",
    ],
)
def test_it_finds_what_it_is_to_find(snippet: str) -> None:
    assert bare(snippet)


@pytest.mark.parametrize(
    "snippet",
    [
        "async def f(client):\n    await bounded(client.connect(), 5, 'connecting')",
        "async def f(client):\n    work = client.connect()\n    await bounded(work, 5, 'connecting')",
        "async def f(bus):\n    bus.disconnect()",
        "async def do(work):\n    await bounded(work, 5, 'x')\nasync def f(bus):\n    await do(bus.call(m))",
        "from renogybt.ble import bluez\nasync def f():\n    await bluez.call('/')",
        "async def f(self):\n    await self.connect()",
        "async def f(task):\n    await asyncio.wait({task})",
    ],
)
def test_it_lets_pass_what_is_right(snippet: str) -> None:
    assert bare(snippet) == []


def test_it_looks_where_the_libraries_are() -> None:
    looked_at = {path.name for path in FILES}
    assert {"connection.py", "scan.py", "bluez.py", "bus.py", "module.py"} <= looked_at
    assert "modbus.py" not in looked_at


def test_parsing_is_not_disturbed_by_what_earlier_tests_left_behind() -> None:
    class Leftover:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            ast.parse("(((((a)))))")

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for path in sorted(PACKAGE.glob("*.py")):
            text = path.read_text("utf-8")
            for _ in range(3):
                Leftover()
            ast.parse(text)
    finally:
        gc.set_threshold(*before)
