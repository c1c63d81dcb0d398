"""What becomes of the answers when texts are written otherwise: the same words mistyped, in capitals, or cut off."""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from model_build.evaluation.calibration import Logits, Targets, decide, to_probabilities
from model_build.evaluation.metrics import is_right
from slipway.artifact import Task

TEXTS = 1_000
TYPOS = 0.02
_WORDS = 8
# Han, kana, Thai, Lao, Burmese and Khmer: written without spaces between words.
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]")

Change = Callable[[str, random.Random], str]


def robustness(
    texts: Sequence[str],
    targets: Targets,
    task: Task,
    predict: Callable[[Sequence[str]], Logits],
    *,
    seed: int = 13,
) -> list[dict[str, Any]]:
    """Accuracy, and share of texts that keep their answer, for every change of at most 1,000 ``texts``.

    ``predict`` gives logits of shape (texts, labels). The first row is the texts as they are; a change that alters no
    text, such as capitals in Chinese, is left out.
    """
    chooser = random.Random(seed)  # noqa: S311 - reproducible, not secret
    chosen = sorted(chooser.sample(range(len(texts)), min(TEXTS, len(texts))))
    originals = [texts[index] for index in chosen]
    answers = _answers(predict, originals, task)
    rows = [_row("none", answers, answers, targets[chosen])]
    for name, change in CHANGES.items():
        changed = [change(text, chooser) or text for text in originals]
        if changed != originals:
            rows.append(_row(name, _answers(predict, changed, task), answers, targets[chosen]))
    return rows


def is_spaceless(text: str) -> bool:
    """Whether most of ``text`` is in a script that puts no spaces between words.

    >>> is_spaceless("这部电影很好看"), is_spaceless("a fine film")
    (True, False)
    """
    return 2 * len(_SPACELESS.findall(text)) > sum(map(str.isalpha, text))


def mistype(text: str, chooser: random.Random) -> str:
    """2 % of the letters trade places with the one before, are left out, doubled, or become another of the text."""
    letters = [character for character in text if character.isalpha()]
    typed = list(text)
    for place, character in enumerate(text):
        if not character.isalpha() or chooser.random() >= TYPOS:
            continue
        if place and chooser.random() < 0.25:
            typed[place - 1 : place + 1] = typed[place], typed[place - 1]
        else:
            typed[place] = chooser.choice(["", character * 2, chooser.choice(letters)])
    return "".join(typed)


def strip_punctuation(text: str) -> str:
    """Without punctuation and symbols; vowel signs, which regular expressions call no letters, stay.

    >>> strip_punctuation("It's (really) fine!")
    'It s really fine'
    """
    return " ".join("".join(" " if unicodedata.category(c)[0] in "PS" else c for c in text).split())


def first_words(text: str, count: int | None = None) -> str:
    """The first ``count`` words (by default half of them, rounded up); characters where a script has no spaces.

    >>> first_words("a very fine film indeed")
    'a very fine'
    """
    joint = "" if is_spaceless(text) else " "
    words = list(text) if not joint else text.split()
    return joint.join(words[: (len(words) + 1) // 2 if count is None else count])


CHANGES: dict[str, Change] = {
    f"typos in {TYPOS:.0%} of the letters": mistype,
    "upper case": lambda text, _: text.upper(),
    "lower case": lambda text, _: text.lower(),
    "no punctuation": lambda text, _: strip_punctuation(text),
    "first half": lambda text, _: first_words(text),
    f"first {_WORDS} words": lambda text, _: first_words(text, _WORDS),
}


def _answers(predict: Callable[[Sequence[str]], Logits], texts: Sequence[str], task: Task) -> Targets:
    return decide(to_probabilities(predict(texts), task), task)


def _row(change: str, answers: Targets, before: Targets, targets: Targets) -> dict[str, Any]:
    return {
        "change": change,
        "accuracy": float(np.mean(is_right(answers, targets))),
        "same_label": float(np.mean(is_right(answers, before))),
    }
