"""What the documents say is true of the program: links, commands, options, names, messages and examples."""

import ast
import configparser
import logging
import re
import shlex
import signal
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest

from renogybt import devices
from renogybt.cli import ask, esphome_key, free, run
from renogybt.config import load
from renogybt.config.environment import keys
from renogybt.config.options import SECTIONS, base, options
from renogybt.errors import ConfigError
from renogybt.protocol.table import label_of
from renogybt.proxy.nameplate import nameplate
from renogybt.settings import Availability, Data, DeviceType, HomeAssistantProxy, Settings, Watchdog
from renogybt.settings.via import parsed
from renogybt.sinks import release
from renogybt.sinks.link import LINK_ROWS
from renogybt.sinks.standing import STATUS_ROWS
from tests.test_house import PACKAGE, RANKS, ROOT

README, HELP, PLAN = ROOT / "README.md", ROOT / "docs/troubleshooting.md", ROOT / "docs/architecture.md"
OPTIMIZATIONS, FAILING = ROOT / "OPTIMIZATIONS.md", ROOT / "docs/resilience.md"
HOME = ROOT / "docs/home-assistant.md"
UNIT, CRON = ROOT / "deploy/renogybt.service", ROOT / "deploy/renogybt-cron.txt"
POLKIT = ROOT / "deploy/50-renogybt.rules"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WRITTEN = [README, HELP, FAILING, HOME, PLAN, OPTIMIZATIONS, ROOT / "CHANGELOG.md"]
"""Pages written by hand; the others are made by the program."""
OF_OTHERS = ("externally-managed-environment", "org.freedesktop.DBus.Error.AccessDenied")
"""Messages on the troubleshooting page that pip and D-Bus print, not this program."""
COMMANDS = {"sudo", "journalctl", "systemctl", "rfkill", "grep", "hostname", "wifi.powersave"}
"""What a quotation on the pages on failing and on Home Assistant begins with that is a line to type, no message."""
SMALLEST = "[device]\nmac_addr = 80:6F:B0:0F:12:34\n"


def page_name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.M | re.S)


def prose(path: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.M | re.S)


def spans(text: str) -> list[str]:
    """What stands in backticks, line breaks as blanks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def section_of(path: Path, heading: str) -> str:
    return re.split(r"^## ", path.read_text("utf-8").split(f"## {heading}\n", 1)[1], maxsplit=1, flags=re.M)[0]


def published(*kinds: str) -> set[str]:
    """Every name in the JSON of devices of these kinds."""
    found: set[str] = set()
    for kind in kinds:
        found.update(devices.family(kind).keys())
    return found


def commands() -> Iterator[tuple[str, str]]:
    """(page, line) of every line in a code block or in backticks that calls one of the two programs."""
    for path in (*WRITTEN, UNIT, CRON):
        text = path.read_text("utf-8")
        lines = spans(prose(path)) if path.suffix == ".md" else text.splitlines()
        for line in (*lines, *(line for block in blocks(path, "sh") for line in block.splitlines())):
            if re.search(r"python3? (ha_proxy_)?example\.py", line) and not line.startswith("#"):
                yield page_name(path), line


@pytest.mark.parametrize("path", PAGES, ids=page_name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", prose(path)):
        assert (path.parent / target).exists(), f"{page_name(path)} links to {target}, which is not there"


@pytest.mark.parametrize("path", WRITTEN, ids=page_name)
def test_make_targets_exist(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    code = "\n".join([*spans(prose(path)), *blocks(path, "sh")])
    assert set(re.findall(r"^make ([a-z]+)", code, re.M)) <= targets


def test_the_two_commands_stand_in_the_readme() -> None:
    assert {"make demo", "make test"} <= set(spans(prose(README)))


def test_every_call_of_the_program_is_understood() -> None:
    found = list(commands())
    assert len(found) >= 4
    for page, line in found:
        words = shlex.split(re.split(r"example\.py", line, maxsplit=1)[1].split(">")[0].rstrip("2 "))
        try:
            if not run.is_command(words):
                assert run.parse(words).config.endswith(".ini"), f"{page}: {line}"
            elif words[0] == "free":
                free.parser().parse_args(words[1:])
            elif words[0] == "esphome-key":
                assert esphome_key.main(words) == 0
            else:
                ask.parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"{page}: {line}")


@pytest.mark.parametrize("path", WRITTEN, ids=page_name)
def test_command_line_options_exist(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parse(["--help"])
    for command in ("release", "resume", "status"):
        with pytest.raises(SystemExit):
            ask.parser().parse_args([command, "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) | {"--break-system-packages"}
    named = {span.split()[0] for span in spans(prose(path)) if span.startswith("--")}
    assert named <= known


@pytest.mark.parametrize("path", [README, HELP, FAILING, HOME, OPTIMIZATIONS], ids=page_name)
def test_configuration_sections_exist(path: Path) -> None:
    named = {span[1:-1] for span in spans(prose(path)) if re.fullmatch(r"\[[a-z_.A-Z]+\]", span)}
    assert named
    assert {base(name) for name in named} <= set(SECTIONS)


@pytest.mark.parametrize("path", [README, HELP, FAILING, HOME, OPTIMIZATIONS], ids=page_name)
def test_settings_in_backticks_are_accepted(path: Path, tmp_path: Path) -> None:
    """`option = value` fits at least one section."""
    named = [span for span in spans(prose(path)) if re.fullmatch(r"[a-z_]+ = \S.*", span)]
    assert named
    for span in named:
        places = [name for name in SECTIONS if span.split(" = ")[0] in options(name)]
        assert any(loads(span, place, tmp_path) for place in places), f"{page_name(path)}: {span}"


def loads(setting: str, section: str, folder: Path) -> bool:
    """Whether the setting is accepted in that section of an otherwise sound configuration."""
    head = SMALLEST if section == "device" else f"{SMALLEST}[{section}]\n"
    file = folder / "config.ini"
    file.write_text(f"{head}{setting}\n", "utf-8")
    try:
        load(file)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("path", [README, HELP, FAILING, HOME, OPTIMIZATIONS], ids=page_name)
def test_names_in_backticks_exist(path: Path) -> None:
    """Whatever looks like a name (`pv_power`, `poll_interval`) is an option, a published value, or in the example."""
    known = published(*devices.FAMILIES, "bank:48,49") | {row.key for row in (*LINK_ROWS, *STATUS_ROWS)}
    known |= {key for name in SECTIONS for key in keys(name)}
    known |= set(re.findall(r"\w+", "\n".join(blocks(README, "python")))) | set(get_args(DeviceType)) | {"set_load"}
    named = {span for span in spans(prose(path)) if re.fullmatch(r"[A-Za-z]+[0-9]*(_[A-Za-z0-9]+)+", span)}
    assert named
    assert named <= known


def test_values_in_the_readme_belong_to_their_devices() -> None:
    kinds = {
        "Controller": "controller",
        "History": "history",
        "Battery": "battery",
        "Several batteries": "bank:48,49",
        "DC-DC charger": "dc_charger",
        "Inverter": "inverter",
        "Shunt": "shunt",
    }
    rows = re.findall(r"^\| ([A-Z][^|]+) \| (`[^|]+) \|$", section_of(README, "What is published"), re.M)
    assert [name for name, _ in rows] == list(kinds)
    for name, cell in rows:
        assert set(spans(cell)) <= published(kinds[name]), name


def test_the_readme_knows_every_type() -> None:
    named = set(re.findall(r"`(RNG_[A-Z_]+)`", section_of(README, "Supported devices")))
    assert named == set(get_args(DeviceType))


def test_ids_for_a_device_alone_are_those_the_program_tries() -> None:
    kinds = {"Charge controller": "controller", "DC-DC charger": "dc_charger", "Battery": "battery", "Inverter": "inverter"}
    for name, kind in kinds.items():
        row = re.search(rf"^\| {name} \| ([^|]+) \|", README.read_text("utf-8"), re.M)
        assert row, name
        assert {int(number) for number in row[1].split(",")} <= set(devices.family(kind).units), name


@pytest.mark.parametrize("text", [*blocks(README, "ini"), *blocks(OPTIMIZATIONS, "ini"), *blocks(HOME, "ini")])
def test_example_configurations_load(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "config.ini"
    file.write_text(text, "utf-8")
    with caplog.at_level(logging.WARNING):
        assert load(file).devices
    assert not caplog.records


def test_python_examples_fit_the_package(tmp_path: Path) -> None:
    """They compile, what they import exists, and everything up to reading a device runs."""
    examples = blocks(README, "python")
    assert examples
    (tmp_path / "config.ini").write_text(blocks(README, "ini")[0], "utf-8")
    for text in examples:
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert all(hasattr(import_module(str(node.module)), alias.name) for alias in node.names)
        names: dict[str, Any] = {"__name__": "example"}
        exec(compile(text.replace('"config.ini"', repr(str(tmp_path / "config.ini"))), "README.md", "exec"), names)
        client = names["RoverClient"](names["config"], names["on_data"], names["on_error"])
        for called in re.findall(r"client\.([a-z_]+)", text):
            assert hasattr(client, called)
        for name, method in re.findall(r"(data_logger|Utils)\.(\w+)", text):
            assert callable(getattr(names[name], method))
        names["on_error"](client, ValueError("a text"))


def test_clients_and_methods_named_in_the_readme_exist() -> None:
    package = import_module("renogybt")
    named = set(re.findall(r"`(\w+Client)`", README.read_text("utf-8")))
    assert len(named) == 7
    assert all(hasattr(getattr(package, name), "start") for name in named)
    assert hasattr(package.RoverClient, "set_load")


def test_exit_codes() -> None:
    from renogybt.service import bridge

    rows = re.findall(r"^\| (\d[\d, ]*) \|", section_of(README, "Exit codes"), re.M)
    codes = [int(code) for row in rows for code in row.split(",")]
    signals = [128 + number for number in (signal.SIGINT, signal.SIGTERM)]
    assert codes == [bridge.EXIT_OK, bridge.EXIT_FAILED, run.EXIT_CONFIG, ask.EXIT_NOBODY, run.EXIT_TAKEN, *signals]
    assert f"ended after {run.HARD_LIMIT:g} seconds" in section_of(README, "Exit codes")


def test_every_command_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run.parse(["--help"])
    text = capsys.readouterr().out
    for command in run.COMMANDS:
        assert re.search(rf"^  {command} ", text, re.M), command


# The page on optimizations


def test_every_measured_group_has_its_part_and_its_table() -> None:
    from benchmarks.__main__ import ESPHOME, HUB, YEARS
    from benchmarks.outlets import GROUPS

    for title in (*GROUPS, YEARS, HUB, ESPHOME):
        assert "| What | Measured | Promised | How |" in section_of(OPTIMIZATIONS, title), title


def test_the_recommended_fields_are_those_that_were_measured(tmp_path: Path) -> None:
    from benchmarks.given import FEW

    file = tmp_path / "config.ini"
    file.write_text(blocks(OPTIMIZATIONS, "ini")[0], "utf-8")
    assert load(file).data.fields == FEW


# The troubleshooting page


def templates() -> list[str]:
    """Every text in the program that is no docstring, with … for what is filled in."""
    found: list[str] = []
    for path in (*PACKAGE.rglob("*.py"), ROOT / "example.py"):
        tree = ast.parse(path.read_text("utf-8"))
        explanations = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found += filled(node)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in explanations:
                found.append(node.value)
    return [*found, (ROOT / "Makefile").read_text("utf-8")]


def filled(node: ast.JoinedStr) -> list[str]:
    """The text, in both forms where it holds a choice between two words."""
    forms = [""]
    for part in node.values:
        words = ["…"]
        if isinstance(part, ast.Constant):
            words = [str(part.value)]
        elif isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp):
            choice = [part.value.body, part.value.orelse]
            words = [str(word.value) if isinstance(word, ast.Constant) else "…" for word in choice]
        forms = [form + word for form in forms for word in words]
    return forms


def test_messages_on_the_troubleshooting_page_are_printed_by_the_program() -> None:
    known = templates()
    lines = re.findall(r"^(?:### .+|- `.+)$", prose(HELP), re.M)
    messages = [span for line in lines for span in spans(line.split("`:")[0] + "`" if line.startswith("- ") else line)]
    messages = [message for message in messages if " " in message]
    assert len(messages) > 40
    for message in messages:
        if not any(foreign in message for foreign in OF_OTHERS):
            assert said(message, known), f"nothing in the program says: {message}"


def said(message: str, known: list[str]) -> bool:
    """Whether a text of the program has the pieces of `message` between its … in this order."""
    pieces = [piece for piece in re.split(r"\s*…\s*", message) if piece]
    pattern = re.compile(".*".join(re.escape(piece) for piece in pieces), re.S)
    return any(pattern.search(text) for text in known)


# The page on failing


def test_messages_on_the_page_on_failing_are_printed_by_the_program() -> None:
    known = templates()
    quoted = [span for span in spans(prose(FAILING)) if " " in span and not re.match(r"[a-z_]+ = |[a-z.]+ = ", span)]
    messages = [span for span in quoted if span.split()[0] not in COMMANDS]
    assert len(messages) > 25
    for message in messages:
        assert said(message, known), f"nothing in the program says: {message}"


def test_the_figures_on_the_page_on_failing_are_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.ini"
    file.write_text(SMALLEST, "utf-8")
    settings = load(file)
    limits, bluetooth, watchdog = settings.availability, settings.bluetooth, settings.watchdog
    named = dict(span.split(" = ") for span in spans(prose(FAILING)) if re.fullmatch(r"[a-z_]+ = [0-9]+", span))
    for part in (limits, bluetooth, watchdog, settings.mqtt):
        for name in named.keys() & set(part.__struct_fields__) - {"connection_timeout"}:
            assert getattr(part, name) == float(named.pop(name)), name
    assert set(named) == {"connection_timeout"}
    text = " ".join(FAILING.read_text("utf-8").split())
    minutes = [f"{seconds / 60:g}" for seconds in (limits.stale_seconds, limits.offline_seconds)]
    assert f"| {minutes[0]} to {minutes[1]} minutes |" in text
    assert f"Within {run.HARD_LIMIT + 1:g} seconds" in text


# The page on Home Assistant


def test_messages_on_the_page_on_home_assistant_are_printed_by_the_program() -> None:
    known = templates()
    quoted = [span for span in spans(prose(HOME)) if " " in span and not re.match(r"[a-z_]+ =", span)]
    messages = [span for span in quoted if span.split()[0] not in COMMANDS]
    assert len(messages) > 20
    for message in messages:
        assert said(message, known), f"nothing in the program says: {message}"


def test_names_in_quotes_on_the_page_on_home_assistant_exist() -> None:
    """Entities, the bridge, what Home Assistant shows, and headings of other pages."""
    families = (*devices.FAMILIES, "bank:48,49")
    known = {label_of(row) for kind in families for row in devices.family(kind).rows()}
    known |= {label_of(row) for row in (*LINK_ROWS, *STATUS_ROWS)} | {nameplate(Settings()).friendly_name, "Discovered"}
    known |= {release.LABEL}
    known |= {title for page in (README, HELP) for title in re.findall(r"^## (.+)$", page.read_text("utf-8"), re.M)}
    named = set(re.findall(r'"([A-Z][^"]+)"', " ".join(prose(HOME).split())))
    assert len(named) > 25
    assert named <= known


def test_files_on_the_page_on_home_assistant_exist() -> None:
    named = {span for span in spans(prose(HOME)) if re.fullmatch(r"[\w./-]+\.(py|ini|json|md|service)", span)}
    made = {HomeAssistantProxy().state_file, Data().energy_file}
    assert made <= named
    assert all(name in made or (ROOT / name).exists() for name in named)


def test_the_figures_on_the_page_on_home_assistant_are_the_defaults() -> None:
    proxy, limits = HomeAssistantProxy(), Availability()
    text = " ".join(HOME.read_text("utf-8").split())
    assert f"port {proxy.native_api_port}" in text
    assert f"`max_connections = {proxy.max_connections}` devices" in text
    minutes = re.findall(r"^\| after (\d+) minutes \|", HOME.read_text("utf-8"), re.M)
    assert [60 * float(each) for each in minutes] == [limits.stale_seconds, limits.offline_seconds]
    assert parsed("esphome://proxy.local").port == proxy.native_api_port


def test_what_is_installed_for_it_is_an_extra_of_the_package() -> None:
    import tomllib

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    lines = [line for page in (README, HOME) for block in blocks(page, "sh") for line in block.splitlines() if "pip" in line]
    named = {name for line in lines for name in re.findall(r"'\.\[(\w+)\]'", line)}
    assert named
    assert named <= set(extras)


# The architecture page


def classes() -> dict[str, ast.ClassDef]:
    trees = (ast.parse(path.read_text("utf-8")) for path in PACKAGE.rglob("*.py"))
    return {node.name: node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def test_classes_and_methods_on_the_architecture_page_exist() -> None:
    known = classes()
    named = [span for span in spans(prose(PLAN)) if re.fullmatch(r"[A-Z]+[a-z]\w+(\.\w+)?", span)]
    assert len(named) > 30
    for span in named:
        name, _, method = span.partition(".")
        if name in {"Variant", "DeviceType"}:
            continue
        assert name in known, span
        methods = {node.name for node in known[name].body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert not method or method in methods, span


def test_files_on_the_architecture_page_exist() -> None:
    named = [span for span in spans(prose(PLAN)) if "/" in span and " " not in span]
    assert len(named) > 20
    for span in named:
        assert (ROOT / span).exists() or (PACKAGE / span).exists(), span


def test_functions_on_the_architecture_page_exist() -> None:
    named = re.findall(r"`(modbus|bluez)\.(\w+)`", PLAN.read_text("utf-8"))
    assert named
    homes = {"modbus": "renogybt.protocol.modbus", "bluez": "renogybt.ble.bluez"}
    assert all(hasattr(import_module(homes[module]), name) for module, name in named)


def test_the_ranks_on_the_architecture_page_are_those_of_the_house() -> None:
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", section_of(PLAN, "Rooms and ranks"), re.M)
    named = {room.strip("/"): int(rank) for rank, cell in rows for room in spans(cell)}
    there = {room for room in RANKS if (PACKAGE / room).is_dir() or (PACKAGE / f"{room}.py").exists()}
    assert named == {room: RANKS[room] for room in there}


# What runs it


def unit() -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text("utf-8"))
    return parser


def test_the_unit_file_has_what_keeps_the_program_running() -> None:
    found = unit()
    wanted = {
        "Unit": {"StartLimitIntervalSec": "0"},
        "Service": {
            "Type": "notify",
            "NotifyAccess": "main",
            "WatchdogSec": "120",
            "User": "renogybt",
            "SupplementaryGroups": "bluetooth",
            "WorkingDirectory": "/opt/renogybt",
            "ExecStart": "/opt/renogybt/.venv/bin/python example.py config.ini",
            "ExecStopPost": "-/opt/renogybt/.venv/bin/python example.py free --config config.ini",
            "Restart": "always",
            "RestartSec": "5",
            "RestartPreventExitStatus": str(run.EXIT_CONFIG),
            "TimeoutStopSec": "25",
            "LimitNOFILE": "1024",
            "MemoryMax": "120M",
        },
        "Install": {"WantedBy": "multi-user.target"},
    }
    for section, entries in wanted.items():
        assert entries.items() <= dict(found[section]).items()
    for key in ("Wants", "After"):
        assert {"bluetooth.service", "network-online.target"} <= set(found["Unit"][key].split())


def test_the_unit_file_tells_how_to_run_the_other_program() -> None:
    (line,) = re.findall(r"^# ExecStart=(.+)$", UNIT.read_text("utf-8"), re.M)
    assert line == unit()["Service"]["ExecStart"].replace("example.py", "ha_proxy_example.py")
    assert (ROOT / "ha_proxy_example.py").exists()


def test_systemd_waits_longer_than_the_program_needs() -> None:
    from renogybt.service.systemd import LONGEST_INTERVAL, RECYCLING_LIMIT

    service = unit()["Service"]
    assert float(service["TimeoutStopSec"]) > run.HARD_LIMIT + 1
    assert float(service["TimeoutStopSec"]) > free.LIMIT + 1
    assert float(service["WatchdogSec"]) >= RECYCLING_LIMIT + 2 * LONGEST_INTERVAL


def test_the_unit_file_lets_the_program_do_its_work() -> None:
    service = unit()["Service"]
    assert "PrivateDevices" not in service  # with it there is no /dev/rfkill
    assert service["DeviceAllow"] == f"{Watchdog().rfkill} rw"
    assert service["ExecStartPre"].startswith("-+")  # as root, and no harm without the program
    assert service["ReadWritePaths"] == service["WorkingDirectory"]  # config.ini names energy_totals.json without a path
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(service["RestrictAddressFamilies"].split())  # D-Bus and broker
    assert "Requires" not in unit()["Unit"]  # a restart of BlueZ must not end the bridge
    assert "MemoryDenyWriteExecute" not in service  # foreign-function libraries need such pages


def test_the_polkit_rule_allows_one_thing_to_one_user() -> None:
    text = "".join(line for line in POLKIT.read_text("utf-8").splitlines(True) if not line.startswith("//"))
    assert set(re.findall(r'"([^"]+)"', text)) == {
        "org.freedesktop.systemd1.manage-units",
        "unit",
        "bluetooth.service",
        "verb",
        "restart",
        unit()["Service"]["User"],
    }
    assert text.count("&&") == 3
    assert "||" not in text
    assert text.count("polkit.Result.YES") == 1


@pytest.mark.parametrize("path", [UNIT, CRON], ids=page_name)
def test_nothing_is_killed_by_name(path: Path) -> None:
    assert not re.search(r"\b(pkill|killall)\b|kill -9", path.read_text("utf-8"))


def test_the_crontab_line_is_one() -> None:
    lines = [line for line in CRON.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert len(lines) == 1
    assert re.match(r"(\S+ ){5}cd ", lines[0])
    assert "%" not in lines[0]  # cron takes it for a line break
    assert "flock -n" in lines[0]


@pytest.mark.parametrize("path", [*PAGES, UNIT, CRON, POLKIT, ROOT / "config.ini"], ids=page_name)
def test_no_paths_of_a_development_machine(path: Path) -> None:
    assert not re.search(r"/(work|tmp|root|home|Users)/\w", path.read_text("utf-8"))
