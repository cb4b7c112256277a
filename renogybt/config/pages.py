"""The shipped config.ini and docs/config.md, made from `settings`: `python -m renogybt.config.pages` writes both."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from renogybt.config.convert import text_of
from renogybt.config.environment import variable
from renogybt.config.options import REPEATED, SECTIONS, Option, options
from renogybt.config.predecessors import IGNORED

WIDTH = 120

INI_HEAD = """\
Configuration of renogybt. To begin, set mac_addr and type below; everything else may stay as it is.

A # with a space before it begins a comment. A value that holds " #" itself, or begins with # or a quote, is put in quotes:
password = "my #1 secret". A % is just a %. Options left out have the default given with each.
The same in more words, and how to give options in the environment: docs/config.md.
"""


@dataclass(frozen=True, slots=True)
class Example:
    """A further section in config.ini, behind #, and what is said about it."""

    text: str
    section: str
    lines: tuple[tuple[str, str], ...]


FURTHER = MappingProxyType(
    {
        "device": Example(
            'A further device: take the # off the lines that follow, and put a name of your own in place of "roof". Any '
            "number of such sections may follow, each with the options of [device]. Several devices behind one module have "
            "the same mac_addr.",
            "device.roof",
            (("mac_addr", "80:6F:B0:0F:XX:XX"), ("type", "RNG_BATT"), ("device_id", "48,49"), ("poll_interval", "30")),
        ),
        "pvoutput": Example(
            "A further system at PVOutput, for another device: the same way. Any number of such sections may follow, each "
            "with the options of [pvoutput].",
            "pvoutput.roof",
            (("enabled", "true"), ("api_key", ""), ("system_id", ""), ("device", "roof")),
        ),
    }
)
"""Section -> the example of a further one."""

MD_HEAD = """\
# Configuration

<!-- Made by `python -m renogybt.config.pages` from renogybt/settings; change the texts there, not here. -->

Everything is set in one file, usually `config.ini`. Files of cyrils/renogy-bt and jorik41/renogy-bt work as they are.
If anything in the file cannot be used, the program says so at the start, all of it at once, each with its line, and
ends with exit code 2 before it touches Bluetooth or the network.

## How the file is written

- `[section]` begins a section; below it stands one `option = value` per line. What is left out has its default.
- A `#` at the start of a line, at the start of a value or behind a space begins a comment; so does `;` at the start of
  a line.
- A value in double or single quotes is taken to the letter: `password = "my #1 secret"`. A comment may follow.
- `%` has no special meaning.
- true may also be written yes, on or 1, and false no, off or 0. Upper and lower case make no difference, except in
  texts.
- An indented line continues the value of the line above; this is of use for lists only.
- File names are relative to the folder of the configuration file.

## Several devices

Any number of sections `[device.NAME]` may stand beside `[device]` or in place of it, each with the options of
`[device]` and its own `poll_interval`. NAME is a word of your choice and becomes the `alias` unless you set another.

Devices behind one Bluetooth module (a hub) are read through one connection. If they are of one type, list their
addresses in `device_id`; if not, write a section for each type, with the same `mac_addr`. An alias with a device id may
occur only once, so a controller and its daily history (`RNG_CTRL` and `RNG_CTRL_HIST`) need two aliases.

## Several systems at PVOutput

Any number of sections `[pvoutput.NAME]` may stand beside `[pvoutput]` or in place of it, each with the options of
`[pvoutput]`. `device` says whose readings go there: the alias of a device, `<alias>_<device_id>` where one section has
several, or the section itself (`device = device.roof`). With several batteries in one section, its alias means all of
them together. Which value goes into which field of PVOutput is known for each kind of device; `v1` to `v12` put another
in its place, and a `-` before the name turns its sign (`v4 = -power`).
"""

MD_ENVIRONMENT = """\
## Environment variables

Each option may also come from the environment, which then overrides the file: `RENOGYBT_`, the section, two
underscores, the option, all in upper case, and `_` for every other character in the section's name. Values are taken to
the letter, without comments or quotes. A variable that begins with `RENOGYBT_` and fits no option is a problem, so that
no misspelt one goes unnoticed.
"""

MD_SECRETS = """\
## Secrets in files of their own

{} can be kept out of the configuration: write the option with `_file` at its end, and the name of a file that holds
nothing but the secret. A newline at the end of that file does not count. No secret is ever shown in a log or an error.
"""

MD_IGNORED = """\
## Options of the predecessors that are ignored

They may stay in the file; the log mentions them at the start.
"""


def config_ini() -> str:
    """The file a new user starts from. It names every option; only the placeholder of mac_addr must be replaced."""
    blocks = [_comment(INI_HEAD)]
    for name, section in SECTIONS.items():
        blocks.append(f"{_comment(section.__doc__ or '')}\n[{name}]")
        blocks += [f"{_comment(_explained(option))}\n{_line(option)}" for option in options(name).values()]
        if name in FURTHER:
            further = FURTHER[name]
            example = "\n".join([f"#[{further.section}]", *(f"#{key} = {value}".rstrip() for key, value in further.lines)])
            blocks.append(f"{_comment(further.text)}\n{example}")
    return "\n\n".join(blocks) + "\n"


def config_md() -> str:
    """The page that explains the file."""
    blocks = [MD_HEAD]
    for name, section in SECTIONS.items():
        title = f"`[{name}]` and `[{name}.NAME]`" if name in REPEATED else f"`[{name}]`"
        blocks.append(f"## {title}\n\n{_wrapped(section.__doc__ or '')}\n")
        blocks.append(
            "\n".join(_wrapped(f"- **`{o.key}`**: {_escaped(_explained(o))}", "  ") for o in options(name).values()) + "\n"
        )
    blocks.append(MD_ENVIRONMENT)
    blocks.append(_table(("option", "variable"), _variables()))
    secret = [f"`{o.key}` in `[{name}]`" for name in SECTIONS for o in options(name).values() if o.secret]
    words = " and ".join([", ".join(secret[:-1]), secret[-1]])
    head, _, text = MD_SECRETS.partition("\n\n")
    blocks.append(f"{head}\n\n{_wrapped(text.format(words))}\n")
    blocks.append(MD_IGNORED)
    blocks.append(_table(("option", "why"), ((f"`[{s}] {key}`", why) for (s, key), why in IGNORED.items())))
    return "\n".join(blocks)


PAGES = MappingProxyType({"config.ini": config_ini, "docs/config.md": config_md})
"""File below the project's folder -> what makes it."""


def main() -> None:
    root = Path(__file__).resolve().parents[2]
    for name, make in PAGES.items():
        (root / name).write_text(make(), encoding="utf-8")


def _explained(option: Option) -> str:
    """The option's text with what is allowed, its default, and the way to keep it in a file."""
    told = option.kind is str or (option.choices and all(choice in option.text for choice in option.choices))
    facts = [] if told else [option.allowed]
    if option.default not in ("", ()):
        facts.append(f"default {text_of(option, option.default)}")
    if option.secret:
        facts.append(f"secret; may be given as {option.key}_file instead")
    text = option.text
    return f"{text} ({'; '.join(facts)})" if facts else text


def _line(option: Option) -> str:
    return f"{option.key} = {option.example or text_of(option, option.default)}".rstrip()


def _escaped(text: str) -> str:
    """`text` as Markdown shows it to the letter."""
    return text.replace("<", "\\<").replace("*", "\\*")


def _comment(text: str) -> str:
    paragraphs = text.strip().split("\n\n")
    return "\n#\n".join(_wrapped(paragraph, "# ", "# ") for paragraph in paragraphs)


def _wrapped(text: str, indent: str = "", first: str = "") -> str:
    words = " ".join(text.split())
    return textwrap.fill(
        words, WIDTH, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _variables() -> Iterator[tuple[str, str]]:
    for section, key in (
        ("mqtt", "server"),
        ("mqtt", "password"),
        ("mqtt", "password_file"),
        ("device.roof", "poll_interval"),
        ("pvoutput.roof", "api_key"),
    ):
        yield f"`[{section}] {key}`", f"`{variable(section, key)}`"


def _table(head: tuple[str, str], rows: Iterator[tuple[str, str]]) -> str:
    lines = [head, ("---", "---"), *rows]
    return "\n".join(f"| {one} | {other} |" for one, other in lines) + "\n"


if __name__ == "__main__":
    main()
