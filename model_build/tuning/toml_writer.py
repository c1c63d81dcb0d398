"""TOML out of plain values; Python reads it (``tomllib``) and does not write it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(content: Mapping[str, Any]) -> str:
    """A TOML document of tables, lists, texts, numbers and truth values. Raises TypeError for anything else.

    >>> print(to_toml({"model": "demo", "train": {"epochs": 3}}), end="")
    model = "demo"
    <BLANKLINE>
    [train]
    epochs = 3
    """
    return "\n".join(_table(content, ())) + "\n"


def _table(content: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Values before tables: what follows a table's header is in that table."""
    tables = {key: value for key, value in content.items() if isinstance(value, Mapping) and not _is_small(path)}
    for key, value in content.items():
        if key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        yield from ("", f"[{'.'.join(map(_key, (*path, key)))}]")
        yield from _table(value, (*path, key))


def _is_small(path: tuple[str, ...]) -> bool:
    """From the third level on, tables are written on one line, as people write them."""
    return len(path) >= 2


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    raise TypeError(f"{value!r} has no form in TOML.")


def _text(text: str) -> str:
    """JSON's escapes are TOML's, but for U+007F, which JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
