"""Suspected labels: planted errors are found, and no data is too small or too strange."""

import json
import random

import numpy as np
import pytest

from model_build.data import suspects as module
from model_build.data.suspects import Suspects, find_suspects

GOOD = ["wonderful", "charming", "moving", "brilliant", "delightful", "superb", "funny", "warm"]
BAD = ["dreadful", "tedious", "stupid", "boring", "awful", "lifeless", "clumsy", "annoying"]
NEUTRAL = [
    "the",
    "film",
    "with",
    "its",
    "cast",
    "and",
    "a",
    "story",
    "that",
    "plays",
    "in",
    "some",
    "town",
    "by",
    "the",
    "sea",
]
LABELS = ["negative", "positive"]


def reviews(count: int = 300, flipped: int = 20) -> tuple[list[str], np.ndarray, set[int]]:
    """Clear texts, their labels, and where the labels are wrong."""
    chooser = random.Random(7)
    targets = np.arange(count) % 2
    texts = []
    for label in targets:
        words = chooser.sample(GOOD if label else BAD, 3) + chooser.sample(NEUTRAL, 6)
        texts.append(" ".join(chooser.sample(words, len(words))))
    wrong = set(chooser.sample(range(count), flipped))
    targets[sorted(wrong)] = 1 - targets[sorted(wrong)]
    return texts, targets, wrong


def find(texts: list[str], targets: np.ndarray, labels: list[str], count: int = 50, seed: int = 13) -> Suspects:
    return find_suspects(iter(texts), targets, labels, count=count, seed=seed)


def test_planted_errors_are_found_first() -> None:
    texts, targets, wrong = reviews()
    found = find(texts, targets, LABELS, count=20)
    assert len(wrong & {suspect.index for suspect in found}) >= 17
    assert found.examined == 300
    for suspect in found:
        assert suspect.text == texts[suspect.index]
        assert suspect.given == (LABELS[targets[suspect.index]],)
        assert suspect.given != suspect.suggested
        assert 0 <= suspect.confidence < 0.5
    confidences = [suspect.confidence for suspect in found]
    assert confidences == sorted(confidences)


def test_planted_errors_are_found_in_chinese() -> None:
    chooser = random.Random(3)
    good, bad = ["好看", "喜欢", "精彩", "感动"], ["无聊", "难看", "失望", "糟糕"]
    targets = np.arange(200) % 2
    texts = [f"这部电影{''.join(chooser.sample(good if y else bad, 2))}第{chooser.randrange(99)}次" for y in targets]
    targets[:10] = 1 - targets[:10]
    found = find(texts, targets, LABELS, count=10)
    assert len(set(range(10)) & {suspect.index for suspect in found}) >= 8


def test_planted_errors_are_found_among_sets_of_labels() -> None:
    texts, positive, wrong = reviews()
    long = np.arange(300) % 3 == 0
    texts = [f"{text} lengthy epic hours" if is_long else text for text, is_long in zip(texts, long, strict=True)]
    targets = np.stack([1 - positive, positive, long, np.zeros(300)], axis=1).astype(np.uint8)
    found = find(texts, targets, [*LABELS, "long", "never"], count=20)
    assert len(wrong & {suspect.index for suspect in found}) >= 17
    assert all(("long" in suspect.given) == bool(long[suspect.index]) for suspect in found)


def test_the_result_is_seeded_and_can_be_written_down() -> None:
    texts, targets, _ = reviews()
    first, second = (find(texts, targets, LABELS) for _ in range(2))
    assert first == second
    document = json.loads(json.dumps([suspect.to_dict() for suspect in first]))
    assert set(document[0]) == {"index", "text", "given", "suggested", "confidence"}
    assert document[0]["given"] == list(first[0].given)


def test_no_more_texts_are_looked_at_than_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXAMINED", 100)
    texts, targets, _ = reviews()
    found = find(texts, targets, LABELS)
    assert found.examined == 100
    assert all(suspect.text == texts[suspect.index] for suspect in found)
    assert found != find(texts, targets, LABELS, seed=14)


def test_count_bounds_the_list() -> None:
    texts, targets, _ = reviews()
    assert len(find(texts, targets, LABELS, count=3)) == 3
    assert len(find(texts, targets, LABELS, count=0)) == 0


@pytest.mark.parametrize(
    ("texts", "targets"),
    [
        ([], []),
        (["a"], [0]),
        (["a", "b"], [0, 1]),
        ([f"text {i}" for i in range(19)], [i % 2 for i in range(19)]),
        ([f"text {i}" for i in range(50)], [0] * 50),
        ([f"text {i}" for i in range(50)], [0] * 49 + [1]),
    ],
)
def test_too_few_texts_or_labels_are_not_judged(texts: list[str], targets: list[int]) -> None:
    found = find(texts, np.array(targets, np.int64), LABELS)
    assert (len(found), found.examined) == (0, 0)


@pytest.mark.parametrize(
    "texts",
    [
        [f"text number {i}" for i in range(100)],
        ["the same"] * 100,
        ["!"] * 100,
        ["好"] * 50 + ["?", "\u200b"] * 25,
        [chr(0x4E00 + i) for i in range(100)],
    ],
    ids=["numbers", "identical", "punctuation", "mixed", "all different"],
)
@pytest.mark.parametrize("classes", [2, 7])
def test_small_and_strange_data_breaks_nothing(texts: list[str], classes: int) -> None:
    labels = [f"label {i}" for i in range(classes)]
    targets = np.arange(100) % classes
    assert find(texts, targets, labels).examined == 100
    assert find(texts, np.eye(classes, dtype=np.uint8)[targets], labels).examined == 100


def test_fifty_labels_of_two_texts_each_are_judged() -> None:
    found = find([f"text number {i}" for i in range(100)], np.arange(100) % 50, [f"label {i}" for i in range(50)])
    assert found.examined == 100


def test_a_label_of_one_text_is_left_out_and_the_rest_judged() -> None:
    texts, targets, wrong = reviews()
    targets[5] = 2
    found = find(texts, targets, [*LABELS, "odd one"], count=20)
    assert found.examined == 299
    assert len(wrong & {suspect.index for suspect in found}) >= 16


def test_many_labels_of_which_one_is_large() -> None:
    targets = np.array([0] * 60 + [1 + i % 12 for i in range(120)])
    texts = [f"about {'alpha beta' if label == 0 else f'topic{label}'} {i}" for i, label in enumerate(targets)]
    assert find(texts, targets, [str(i) for i in range(13)]).examined == 180
