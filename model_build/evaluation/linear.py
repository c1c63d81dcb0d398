"""tf-idf of n-grams and logistic regressions on them: minutes of work, and often hard to beat."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier

from model_build.evaluation.calibration import Targets
from model_build.evaluation.robustness import is_spaceless

Scores = npt.NDArray[np.float64]
Decide = Callable[[csr_matrix], Scores]

_FEATURES = 200_000  # of each kind of n-gram
_CHARACTERS = 5_000  # of a text
_LOOKED_AT = 1_000  # texts, to tell the script
_EXACT_LABELS = 50  # with more, an exact solver takes hours and gigabytes
_WORD = r"\w+|[^\w\s]"


class Ngrams:
    """tf-idf of 1 to 2 words and of 2 to 5 characters inside words; in scripts without spaces of 1 to 3 characters."""

    def __init__(self, texts: Sequence[str]) -> None:
        spaceless = is_spaceless("".join(texts[:_LOOKED_AT]))
        self.kind = "1 to 3 characters" if spaceless else "1 to 2 words, 2 to 5 characters"
        common = {"sublinear_tf": True, "max_features": _FEATURES, "dtype": np.float32}
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=_WORD, **common)
        characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **common)
        self._parts = (
            [TfidfVectorizer(analyzer="char", ngram_range=(1, 3), **common)] if spaceless else [words, characters]
        )

    def fit(self, texts: Sequence[str]) -> csr_matrix:
        """Learn the n-grams that two texts have, or all where no two texts share any."""
        short = [text[:_CHARACTERS] for text in texts]
        return csr_matrix(hstack([self._fit_part(part, short) for part in self._parts]))

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        short = [text[:_CHARACTERS] for text in texts]
        return csr_matrix(hstack([part.transform(short) for part in self._parts]))

    @staticmethod
    def _fit_part(part: TfidfVectorizer, texts: list[str]) -> csr_matrix:
        try:
            return part.set_params(min_df=2).fit_transform(texts)
        except ValueError:  # nothing is left
            return part.set_params(min_df=1).fit_transform(texts)


def fit_linear(features: csr_matrix, targets: Targets, labels: int, strength: float, seed: int) -> Decide:
    """Logistic regression; ``strength`` is the inverse of the L2 penalty's weight (C).

    What it returns gives decision values of shape (texts, labels): the largest answers in a single-label task, those
    from 0 (a probability of a half) in a multi-label one. With over 50 labels each has a regression of its own.
    """
    if targets.ndim == 1 and labels <= _EXACT_LABELS:
        return _fit_jointly(features, targets, labels, strength)
    flags = targets.T if targets.ndim == 2 else (targets == label for label in range(labels))
    each = [_fit_one(features, np.asarray(flag, np.int64), labels, strength, seed) for flag in flags]
    return lambda rows: np.stack([decide(rows) for decide in each], axis=1)


def _fit_jointly(features: csr_matrix, targets: Targets, labels: int, strength: float) -> Decide:
    found = np.unique(targets)
    if len(found) == 1:
        return lambda rows: np.tile(np.arange(labels) == found[0], (rows.shape[0], 1)).astype(np.float64)
    solver = "liblinear" if len(found) == 2 else "lbfgs"
    model = _quietly(LogisticRegression(C=strength, solver=solver, max_iter=200, random_state=0), features, targets)

    def decide(rows: csr_matrix) -> Scores:
        scores = model.decision_function(rows)
        every = np.full((rows.shape[0], labels), -np.inf)  # a label without training texts is never the answer
        every[:, found] = np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
        return every

    return decide


def _fit_one(features: csr_matrix, targets: npt.NDArray[np.int64], labels: int, strength: float, seed: int) -> Decide:
    """Whether a text has one label. With many labels by stochastic gradient descent: the same loss, far less work."""
    if len(np.unique(targets)) < 2:
        return lambda rows: np.full(rows.shape[0], 1.0 if targets[0] else -1.0)
    if labels <= _EXACT_LABELS:
        model = LogisticRegression(C=strength, solver="liblinear", random_state=seed)
    else:
        alpha = 1 / (strength * len(targets))
        model = SGDClassifier("log_loss", alpha=alpha, max_iter=5, tol=None, random_state=seed)
    decide: Decide = _quietly(model, features, targets).decision_function
    return decide


def _quietly(model: Any, features: csr_matrix, targets: Targets) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a baseline that is nearly fitted is a baseline
        return model.fit(features, targets)
