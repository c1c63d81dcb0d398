"""A line of the function's log as one line for people, with its colours."""

from datetime import datetime
from typing import Any, NamedTuple

from rich.text import Text

from model_build.operating.lines import read_line

_TROUBLE = ("WARNING", "ERROR", "CRITICAL")
_KNOWN = (
    *("level", "location", "message", "timestamp", "service", "cold_start", "function_name", "exception"),
    *("function_request_id", "correlation_id", "xray_trace_id", "function_memory_size", "function_arn"),
)


class Told(NamedTuple):
    """``text`` fits one line; ``is_trouble`` is whether something went wrong."""

    text: Text
    is_trouble: bool


def tell(at: float, line: str) -> Told | None:
    """What a line says; None of what only counts, and of Lambda's own lines unless they tell of a broken request."""
    clock = f"{datetime.fromtimestamp(at):%H:%M:%S} "
    document = read_line(line)
    if document is None:
        return _lambda_s(clock, line)
    message = document.get("message")
    if not isinstance(message, str):
        return None
    if message == "predicted" and "_aws" in document:
        return Told(Text(clock, "dim").append(_predicted(document)), False)
    trouble = document.get("level") in _TROUBLE
    rest = " ".join(f"{name}={_short(value)}" for name, value in document.items() if name not in (*_KNOWN, "_aws"))
    color = {"WARNING": "yellow", "INFO": ""}.get(str(document.get("level")), "bold red" if trouble else "")
    return Told(Text(clock, "dim").append(f"{_short(message):<10} {rest}", color), trouble)


def _predicted(document: dict[str, Any]) -> Text:
    texts, version = document.get("Texts"), str(document.get("model_version"))
    label = f"{_short(document.get('label'))}" if texts == 1 else f"{texts} texts, {_short(document.get('label'))} …"
    cold = " cold" if document.get("cold_start") is True else ""
    return Text.assemble(
        (f"{version[:16]:<16} ", "dim"),
        f"{_short(document.get('backend')):<9} {label:<24} {_number(document.get('Latency')):>8} ms ",
        f"{_number(document.get('Tokens')):>6} tokens{_confidence(document.get('Confidence'))}",
        (cold, "cyan"),
    )


def _lambda_s(clock: str, line: str) -> Told | None:
    broken = ("Task timed out", "Runtime exited", "signal: killed", "[ERROR]", "Traceback")
    if not any(word in line for word in broken):
        return None
    return Told(Text(clock, "dim").append(_short(line.strip(), 160), "bold red"), True)


def _confidence(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    known = [each for each in values if isinstance(each, float | int)]
    return f"  {sum(known) / len(known):.2f} sure" if known else ""


def _number(value: Any) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else "?"


def _short(value: Any, most: int = 120) -> str:
    """Printable, in one line: a log holds what anybody sent as a field's name."""
    told = "".join(letter if letter.isprintable() else "?" for letter in str(value))
    return told if len(told) <= most else f"{told[: most - 1]}…"
