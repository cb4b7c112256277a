"""The text of one value -> its typed form, and back."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Literal

from renogybt.config.ini import quoted
from renogybt.config.options import Option
from renogybt.config.report import hint

TRUE, FALSE = ("1", "yes", "true", "on"), ("0", "no", "false", "off")
SYNONYMS = MappingProxyType({"fahrenheit": "F", "celsius": "C", "°f": "F", "°c": "C", "warn": "warning"})
"""What people write for a choice, in lower case."""


class Unfit(ValueError):
    """The value is not allowed; the text says what is."""


def convert(option: Option, text: str) -> Any:
    """Raises `Unfit`."""
    if option.kind is not str:
        text = text.strip()
    return _CONVERTERS[option.kind](option, text)


def text_of(option: Option, value: Any) -> str:
    """`value` as it stands in the file. Raises ValueError for a text that no ini file can hold."""
    if option.kind is bool:
        return "true" if value else "false"
    if option.kind is tuple:
        return ",".join(map(str, value))
    if option.kind is float:
        return repr(float(value)).removesuffix(".0")
    return quoted(value) if option.kind is str else str(value)


def _flag(option: Option, text: str) -> bool:
    if text.lower() in (*TRUE, *FALSE):
        return text.lower() in TRUE
    raise Unfit(f"must be {option.allowed}{hint(text, ('true', 'false'))}")


def _whole(option: Option, text: str) -> int:
    if re.fullmatch(r"[+-]?[0-9]{1,15}", text):
        return int(_ranged(option, int(text)))
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,12}", text):
        return int(_ranged(option, int(text, 16)))
    raise Unfit(f"must be {option.allowed}")


def _number(option: Option, text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", text):
        comma = "; write the decimal point as ." if re.fullmatch(r"[0-9]+,[0-9]+", text) else ""
        raise Unfit(f"must be {option.allowed}{comma}")
    return _ranged(option, float(text))


def _ranged(option: Option, number: float) -> float:
    least, most = option.least, option.most
    if (least is not None and number < least) or (most is not None and number > most):
        raise Unfit(f"must be {option.allowed}")
    return number


def _text(option: Option, text: str) -> str:
    if "\n" in text:
        raise Unfit("runs over several lines; if the next line is an option of its own, remove the spaces in front of it")
    if re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", text):
        raise Unfit("holds a character that cannot be printed; type the value again")
    return text


def _choice(option: Option, text: str) -> str:
    by_lower = {choice.lower(): choice for choice in option.choices}
    word = SYNONYMS.get(text.lower(), text)
    if {"true", "false"} <= set(by_lower):
        word = "true" if word.lower() in TRUE else "false" if word.lower() in FALSE else word
    if word.lower() in by_lower:
        return by_lower[word.lower()]
    raise Unfit(f"must be {option.allowed}{hint(text, option.choices)}")


def _several(option: Option, text: str) -> tuple[Any, ...]:
    items = [item.strip() for item in re.split(r"[,\n]", text) if item.strip()]
    if option.item is int:
        return tuple(_whole(option, item) for item in items)
    for item in items:
        if not re.fullmatch(r"[\w*]+", item):
            raise Unfit(f"must be {option.allowed}, each made of letters, digits, _ and *")
    return tuple(items)


_CONVERTERS: MappingProxyType[Any, Callable[[Option, str], Any]] = MappingProxyType(
    {bool: _flag, int: _whole, float: _number, str: _text, Literal: _choice, tuple: _several}
)
