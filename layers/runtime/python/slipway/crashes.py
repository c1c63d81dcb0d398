"""Where an unforeseen error came from, for a log. Not its message: that may quote the text it stumbled over."""

import traceback
from pathlib import Path

_MOST = 8


def frames_of(error: BaseException) -> list[str]:
    """``file:line function`` of the calls that led to it, the last eight of them."""
    frames = traceback.extract_tb(error.__traceback__)[-_MOST:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
