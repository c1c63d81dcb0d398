"""One text at a time: broken encodings mended, HTML taken out, and the form by which two texts are called the same."""

import html
import html.entities
import re
import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser

import ftfy

_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|([A-Za-z][A-Za-z0-9]{1,30}));")
# What nobody writes between < and > unless HTML is meant: an unknown name, as in "Dear <name>", stays as it is.
_INLINE = """a abbr b big cite code del em font i ins kbd mark q s small span strike strong sub sup tt u"""
_BLOCK = """article aside blockquote body br center dd div dl dt figcaption figure footer form h1 h2 h3 h4 h5 h6 head
    header hr html iframe img input label li link main meta nav ol p pre section table tbody td tfoot th thead title tr
    ul video"""
_INLINE_TAGS, _BLOCK_TAGS = frozenset(_INLINE.split()), frozenset(_BLOCK.split())
_HIDDEN = frozenset(["script", "style"])
_PIECE = 5_000  # characters parsed at a time: on "<a <a <a …" the parser takes quadratic time, minutes for 100,000


def mend(text: str) -> str:
    """Undo a wrong decoding (``schÃ¶n`` is ``schön``), and take NUL characters and the space around away.

    >>> mend(" schÃ¶n ")
    'schön'
    """
    mended = text if text.isascii() else ftfy.fix_encoding(text)  # ftfy leaves ASCII alone, at ten times the price
    return mended.replace("\x00", " ").strip()


def strip_html(text: str) -> tuple[str, bool]:
    """The text without tags and with its entities resolved, and whether there were any.

    >>> strip_html("good<br/>film &amp; <b>cast</b>, 1 < 2")
    ('good film & cast, 1 < 2', True)
    """
    if "<" not in text and "&" not in text:
        return text, False
    parser = _Stripper()
    try:
        for piece in _pieces(text):
            parser.take(piece)
    except AssertionError:  # what html.parser raises for "<![" and the like: not HTML, then
        return text, False
    found = parser.tags > 0 or any(_is_entity(match) for match in _ENTITY.finditer(text))
    return ("".join(parser.parts).strip(), True) if found else (text, False)


def normalize(text: str) -> str:
    """What two texts have in common if a reader would call them the same.

    >>> normalize("  Great ﬁlm! ") == normalize("great film !")
    True
    """
    # Once more after folding case: it takes Greek letters with two accents apart.
    plain = text.isascii()  # which normalization leaves alone
    folded = text.lower() if plain else unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.translate(_LETTERS) or folded.strip()


def shown(value: object, longest: int = 60) -> str:
    r"""A value from somebody's data as one short line of a message or a report, whatever is in it.

    >>> shown("two\nlines"), shown("x" * 9, longest=4)
    ('two\\nlines', 'xxx…')
    """
    text = str(value)
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return short if short.isprintable() else repr(short)[1:-1]


class _Letters(dict[int, int | None]):
    """A table for ``str.translate`` without punctuation, spaces and control characters, filled as it is used."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code))[0] in "PZC" else code
        return self[code]


_LETTERS = _Letters()


class _Stripper(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.tags = 0
        self._hidden = 0

    def take(self, piece: str) -> None:
        """Parse a piece up to its last ``>``: what follows holds no whole tag, and costs the parser most."""
        end = piece.rfind(">") + 1
        self.reset()
        self.feed(piece[:end])
        self.close()
        self.handle_data(html.unescape(piece[end:]))

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._take(tag, self.get_starttag_text() or "")
        self._hidden += tag in _HIDDEN

    def handle_startendtag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self._take(tag, self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        self._take(tag, f"</{tag}>")
        self._hidden -= tag in _HIDDEN and self._hidden > 0

    def handle_comment(self, _data: str) -> None:
        self.tags += 1

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)

    def _take(self, tag: str, as_written: str) -> None:
        known = tag in _INLINE_TAGS or tag in _BLOCK_TAGS or tag in _HIDDEN
        self.tags += known
        if self._hidden:
            return
        if tag in _BLOCK_TAGS:
            self.parts.append(" ")  # what a reader sees apart must not become one word
        elif not known:
            self.parts.append(as_written)


def _pieces(text: str) -> Iterator[str]:
    """Pieces that end with a tag where one does."""
    start = 0
    while start < len(text):
        end = start + _PIECE
        if end < len(text):
            end = text.rfind(">", start, end) + 1 or end
        yield text[start:end]
        start = end


def _is_entity(match: re.Match[str]) -> bool:
    return match[1] is None or f"{match[1]};" in html.entities.html5
