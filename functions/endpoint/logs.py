"""Lines of JSON on standard output, which never hold a text: of an error its kind and where it came from."""

import asyncio
import json
import logging
import sys
import time
from typing import Any

from slipway.crashes import frames_of

logger = logging.getLogger("slipway.endpoint")


class JsonLines(logging.Formatter):
    """One record, one line. What is passed as ``extra={"fields": {…}}`` becomes members."""

    def format(self, record: logging.LogRecord) -> str:
        """Nothing of an exception but its type and its frames: its message may quote the text it stumbled over."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {"timestamp": f"{moment}.{int(record.msecs):03}Z", "level": record.levelname}
        line |= {"message": record.getMessage(), "logger": record.name, **getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[1]:
            line |= _describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def configure() -> None:
    """Send everything that anyone in this process logs to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its news are told by server.py, in members


def log(message: str, level: int = logging.INFO, **members: Any) -> None:
    """One line about the server."""
    logger.log(level, message, extra={"fields": members})


def log_crash(error: BaseException, **members: Any) -> None:
    """Where an unforeseen error came from."""
    log("crashed", logging.ERROR, **members, **_describe(error))


def report_to_log(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler. asyncio's own prints the exception, and so perhaps a text."""
    error = context.get("exception")
    log("the event loop caught an error", logging.ERROR, **(_describe(error) if error else {}))


def _describe(error: BaseException) -> dict[str, Any]:
    return {"error_type": type(error).__name__, "frames": frames_of(error)}
