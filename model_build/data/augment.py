"""Changed copies of training texts: words left out or swapped, letters mistyped, two texts joined.

What a reader sees as one character (a letter with its accents, an emoji made of several) stays whole.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import regex

from model_build.data.splits import Example
from model_build.sections import AugmentConfig
from slipway.artifact import Task

Shares = npt.NDArray[np.float32]

_CHARACTERS = regex.compile(r"\X")
_SPACELESS = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True)
class Augmented:
    """A changed text and its share of each label, float32 (labels,); in a multi-label task 0 or 1."""

    text: str
    targets: Shares


def augment(examples: Sequence[Example], config: AugmentConfig, *, labels: int, task: Task) -> Iterator[Augmented]:
    """``config.copies`` copies of each example, in order.

    What happens to a text depends on the seed and its place alone. A mixed copy is the example with another one before
    or after it. Its one label is shared between theirs by length; in a multi-label task it has the labels of both.
    """
    for row, example in enumerate(examples):
        for copy in range(config.copies):
            chooser = random.Random(f"{config.seed} {row} {copy}")  # noqa: S311 - reproducible, not secret
            changed = _copy(example, config, labels, chooser)
            if chooser.random() < config.label_mixing:
                other = examples[chooser.randrange(len(examples))]
                changed = _mix(changed, _copy(other, config, labels, chooser), task, chooser)
            yield changed


def change(text: str, config: AugmentConfig, chooser: random.Random) -> str:
    """The text with some words dropped or swapped and some letters mistyped; never empty if ``text`` is not.

    In scripts without spaces a character counts as a word.
    """
    units = _units(text)
    if not units:
        return text
    words = [word for word, _ in units]
    gaps = [gap for _, gap in units]
    _swap(words, config.swap, chooser)
    left = [chooser.random() >= config.word_dropout for _ in words]
    left[chooser.randrange(len(left))] |= not any(left)
    pieces = [word + gap for word, gap, stays in zip(words, gaps, left, strict=True) if stays]
    return "".join(_mistype(_CHARACTERS.findall("".join(pieces).strip()), config.typos, chooser))


def _units(text: str) -> list[tuple[str, str]]:
    """Words, each with the space after it."""
    units: list[tuple[str, str]] = []
    ended = True
    for character in _CHARACTERS.findall(text):
        spaceless = bool(_SPACELESS.match(character))
        if character.isspace():
            if units:
                units[-1] = units[-1][0], units[-1][1] + character
        elif ended or spaceless:
            units.append((character, ""))
        else:
            units[-1] = units[-1][0] + character, ""
        ended = spaceless or character.isspace()
    return units


def _swap(words: list[str], share: float, chooser: random.Random) -> None:
    for place in range(len(words) - 1):
        if chooser.random() < share:
            words[place], words[place + 1] = words[place + 1], words[place]


def _mistype(characters: list[str], share: float, chooser: random.Random) -> Iterator[str]:
    """Letters doubled, left out, traded with the next or replaced by a neighbouring key.

    A word's first letter is not left out.
    """
    inside = False
    place = 0
    while place < len(characters):
        typed, used = characters[place], 1
        letter = typed[0].isalpha()
        if letter and chooser.random() < share:
            following = characters[place + 1] if place + 1 < len(characters) else ""
            typed, used = _typo(typed, following, inside, chooser)
        yield typed
        inside = letter
        place += used


def _typo(letter: str, following: str, inside: bool, chooser: random.Random) -> tuple[str, int]:
    """What is typed for ``letter``, and how many characters of the text it stands for."""
    kinds = ["double"] + ["drop"] * inside
    if following and following[0].isalpha():
        kinds.append("trade")
    if neighbours := _NEIGHBOURS.get(letter.lower()):
        kinds.append("neighbour")
    kind = chooser.choice(kinds)
    if kind == "neighbour":
        key = chooser.choice(neighbours or letter)
        return (key.upper() if letter.isupper() else key), 1
    if kind == "trade":
        return following + letter, 2
    return ("", 1) if kind == "drop" else (letter * 2, 1)


def _copy(example: Example, config: AugmentConfig, labels: int, chooser: random.Random) -> Augmented:
    targets = np.zeros(labels, np.float32)
    targets[list(example.labels)] = 1
    return Augmented(change(example.text, config, chooser), targets)


def _mix(one: Augmented, other: Augmented, task: Task, chooser: random.Random) -> Augmented:
    texts = [one.text, other.text]
    chooser.shuffle(texts)
    share = np.float32(len(one.text) / (len(one.text) + len(other.text)))
    mixed = share * one.targets + (1 - share) * other.targets
    return Augmented(" ".join(texts), np.maximum(one.targets, other.targets) if task == "multi-label" else mixed)


def _near(key: str, row: str, below: str) -> str:
    place = row.index(key)
    return row[max(0, place - 1) : place] + row[place + 1 : place + 2] + below[max(0, place - 1) : place + 1]


_NEIGHBOURS = {
    key: _near(key, row, below) for row, below in zip(_KEYBOARD, (*_KEYBOARD[1:], ""), strict=True) for key in row
}
