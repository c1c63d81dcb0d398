"""Sentences cut from text that nobody labelled, for a teacher to judge: none that is in a split, none twice."""

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Set
from itertools import pairwise

from model_build.data.splits import Split
from model_build.data.texts import normalize

_BREAK = re.compile(r"<br\s*/?>|[\r\n\u2028\u2029]+", re.IGNORECASE)
# A stop ends a sentence if a space follows, and no initial or short title stands before it (J., Mr., St.); with CJK
# punctuation no space is needed. Closing quotes and brackets belong to the sentence before.
_STOP = r"""(?<!\b[A-Z])(?<!\b[A-Z][a-z])(?<![.!?\u2026])[.!?\u2026]++["'\u201d\u2019)\]]*+(?=\s)"""
_CJK_STOP = r"[\u3002\uff01\uff1f\uff61]+[\u201d\u2019\u300d\u300f\uff09\u300b]*"
_END = re.compile(f"{_STOP}|{_CJK_STOP}")
_SPACES = re.compile(r"\s+")


def sentences(
    texts: Iterable[str], *, known: Set[bytes], limit: int, seed: int, min_chars: int = 20, max_chars: int = 300
) -> list[str]:
    """At most ``limit`` sentences, each as likely as any other to be among them, drawn in one pass.

    ``texts`` are clean, as ``data.read_texts`` gives them. A sentence whose normalized form is in ``known`` or came
    before is passed over, as is one of fewer than ``min_chars`` or more than ``max_chars`` characters. Memory holds the
    sample and a digest of every sentence seen.
    """
    chooser = random.Random(seed)  # noqa: S311 - reproducible, not secret
    sample: list[str] = []
    for count, sentence in enumerate(_unknown(texts, known, min_chars, max_chars), 1):
        if count <= limit:
            sample.append(sentence)
        elif (place := chooser.randrange(count)) < limit:
            sample[place] = sentence
    return sample


def known_digests(split: Split) -> set[bytes]:
    """What ``sentences`` must not give again: a digest of each text's normalized form."""
    return {_digest(text) for text in split.texts()}


def cut(text: str) -> list[str]:
    r"""Sentences of ``text``, by their punctuation and line breaks alone.

    >>> cut("Mr. Li came.<br />He said: \"No!\" 很好。不错。")
    ['Mr. Li came.', 'He said: "No!"', '很好。', '不错。']
    """
    found = []
    for line in _BREAK.split(text):
        ends = [0, *(match.end() for match in _END.finditer(line)), len(line)]
        found += [line[start:end] for start, end in pairwise(ends)]
    return [sentence for part in found if (sentence := _SPACES.sub(" ", part).strip())]


def _unknown(texts: Iterable[str], known: Set[bytes], min_chars: int, max_chars: int) -> Iterator[str]:
    seen: set[bytes] = set()
    for text in texts:
        for sentence in cut(text):
            if not min_chars <= len(sentence) <= max_chars:
                continue
            digest = _digest(sentence)
            if digest not in known and digest not in seen:
                seen.add(digest)
                yield sentence


def _digest(text: str) -> bytes:
    return hashlib.blake2b(normalize(text).encode(), digest_size=16).digest()
