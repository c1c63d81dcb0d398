"""Which fonts of this machine can write a text, whatever its script."""

from collections.abc import Iterable
from functools import cache

from matplotlib.font_manager import FontEntry, fontManager
from matplotlib.ft2font import FT2Font

DEFAULT = "DejaVu Sans"  # comes with matplotlib
# Boxes with code points; bitmaps that matplotlib cannot draw; pieces of formulas.
_NO_LETTERS = ("Last Resort", "Emoji", "STIX", "Math")


@cache
def families_for(letters: frozenset[str]) -> tuple[str, ...]:
    """Names of the default font and the fewest others that have ``letters``; what no font has is left out.

    >>> families_for(frozenset("abc"))
    ('DejaVu Sans',)
    """
    families = [DEFAULT]
    missing = letters - _covered(_entries(DEFAULT)[0], letters)
    candidates = sorted(_entries(), key=lambda entry: _rank(entry, missing)) if missing else []
    while missing and candidates:
        best = max(candidates, key=lambda entry: len(_covered(entry, missing)))  # the first of equals
        found = _covered(best, missing)
        if not found:
            break
        families.append(best.name)
        missing -= found
    return tuple(families)


def _entries(name: str = "") -> list[FontEntry]:
    """The regular faces that are installed, of one name or of all, in an order that does not change."""
    regular = [
        entry
        for entry in fontManager.ttflist
        if entry.style == "normal" and entry.weight in (400, "normal", "regular") and name in ("", entry.name)
    ]
    readable = [entry for entry in regular if not any(word in entry.name for word in _NO_LETTERS)]
    return sorted(readable, key=lambda entry: (entry.name, entry.fname))


def _rank(entry: FontEntry, letters: Iterable[str]) -> tuple[bool, bool]:
    """Sans before the others; of the faces that have all Han letters, the one of the language."""
    kana = any("\u3040" <= letter <= "\u30ff" for letter in letters)
    hangul = any("\uac00" <= letter <= "\ud7af" for letter in letters)
    language = "JP" if kana else "KR" if hangul else "SC"
    plain = "Sans" in entry.name and "Mono" not in entry.name
    return not plain, not entry.name.endswith(f"CJK {language}")


def _covered(entry: FontEntry, letters: frozenset[str]) -> frozenset[str]:
    font = _open(entry.fname, entry.index)
    return frozenset(letter for letter in letters if font.get_char_index(ord(letter)))


@cache
def _open(path: str, face: int) -> FT2Font:
    return FT2Font(path, face_index=face)
