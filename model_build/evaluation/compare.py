"""Two artifacts on the same texts, as ``slipway compare A B`` asks for it: which is better, and is that proven?"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model_build.config import BuildConfig
from model_build.data.clean import SPLITS
from model_build.data.labelled import Labelled, read_labelled
from model_build.evaluation.calibration import Probabilities, Targets, decide
from model_build.evaluation.comparison import Comparison, Side
from model_build.evaluation.intervals import difference_interval, mcnemar
from model_build.evaluation.metrics import Counts, count, is_right
from model_build.evaluation.quality import confidence, name_labels, shorten
from slipway.artifact import VARIANTS, Manifest, Task, Variant, read_manifest
from slipway.errors import BuildError
from slipway.loading import load_predictor

FLIPS = 500  # that are listed; all are counted
_KINDS = ("newly wrong", "newly right", "still wrong")


def compare(a: Path, b: Path, config: BuildConfig, *, split: str = "test", variant: str | None = None) -> Comparison:
    """The artifacts in ``a`` and ``b`` on ``split`` (or ``all``) of the data that ``config`` names.

    ``variant`` is by default the one that each manifest serves. Raises BuildError if the two have other labels, or if
    the data has labels that they do not know.
    """
    if split not in (*SPLITS, "all") or (variant is not None and variant not in VARIANTS):
        raise BuildError(
            f"There is no split {split!r} or no variant {variant!r}.", remedy="See slipway compare --help."
        )
    manifests = read_manifest(a), read_manifest(b)
    _require_same_question(*manifests, config.data.task)
    variants = [variant or manifest.serve for manifest in manifests]
    with tempfile.TemporaryDirectory() as work:
        data = read_labelled(config, split, manifests[0].labels, Path(work))
    answered = [_answer(path, chosen, data, manifests[0]) for path, chosen in zip((a, b), variants, strict=True)]
    sides = [_side(*parts) for parts in zip((a, b), manifests, variants, answered, strict=True)]
    return _contrast(sides, answered, data, [*_warnings(*manifests, data, config, split)])


@dataclass(frozen=True)
class _Answered:
    answers: Targets
    right: npt.NDArray[np.bool_]
    sure: npt.NDArray[np.float64]
    counts: Counts


def _require_same_question(a: Manifest, b: Manifest, task: Task) -> None:
    if not a.task == b.task == task:
        raise BuildError(
            f"A is {a.task}, B {b.task}, the data {task}: the answers cannot be compared.", remedy="Check data.task."
        )
    if differing := sorted(set(a.labels) ^ set(b.labels)):
        owner = "A" if differing[0] in a.labels else "B"
        raise BuildError(
            f"Only {owner} knows the label {differing[0]!r}: the answers cannot be compared.",
            remedy="Compare versions that were built for the same labels.",
        )


def _answer(path: Path, variant: Variant, data: Labelled, reference: Manifest) -> _Answered:
    """Its answers, in the order of the reference's labels."""
    predictor = load_predictor(path, variant)
    order = [predictor.manifest.labels.index(label) for label in reference.labels]
    found = predictor.predict(data.texts)
    probabilities: Probabilities = np.array([prediction.probabilities for prediction in found])[:, order]
    answers = decide(probabilities, data.task)
    counts = count(answers, data.targets, len(data.labels), data.task)
    return _Answered(answers, is_right(answers, data.targets), confidence(probabilities, data.task), counts)


def _side(path: Path, manifest: Manifest, variant: Variant, answered: _Answered) -> Side:
    speed = manifest.speed.get(variant, {})
    return Side(
        path=str(path),
        model=manifest.model,
        version=manifest.version,
        variant=variant,
        accuracy=float(answered.right.mean()),
        macro_f1=float(answered.counts.macro(answered.counts.f1())),
        megabytes=round(sum(manifest.files[name].size for name in manifest.serving_files(variant)) / 1e6, 3),
        ms_alone=speed.get("ms_alone"),
        ms_packed=speed.get("ms_packed"),
    )


def _contrast(sides: list[Side], answered: list[_Answered], data: Labelled, warnings: list[str]) -> Comparison:
    a, b = answered
    only_a, only_b = int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())
    exact, mid_p = mcnemar(only_a, only_b)
    flips = _flips(a, b, data)
    return Comparison(
        split=data.split,
        texts=len(data.texts),
        a=sides[0],
        b=sides[1],
        difference=(only_b - only_a) / len(data.texts),
        interval=list(difference_interval(only_b, only_a, len(data.texts))),
        only_a=only_a,
        only_b=only_b,
        p_exact=exact,
        p_mid=mid_p,
        classes=_classes(a.counts, b.counts, data.labels),
        flipped={kind: sum(flip["kind"] == kind for flip in flips) for kind in _KINDS},
        flips=flips[:FLIPS],
        warnings=warnings,
    )


def _classes(a: Counts, b: Counts, labels: list[str]) -> list[dict[str, Any]]:
    """F1 of each label by both, the largest loss first."""
    changes = zip(labels, a.given.tolist(), a.f1().tolist(), b.f1().tolist(), strict=True)
    rows = [{"label": name, "texts": int(texts), "a": x, "b": y, "change": y - x} for name, texts, x, y in changes]
    return sorted(rows, key=lambda row: row["change"])


def _flips(a: _Answered, b: _Answered, data: Labelled) -> list[dict[str, Any]]:
    """Texts that the two answer differently: what B newly gets wrong first, and of that what B is surest of."""
    kinds = np.where(a.right, 0, np.where(b.right, 1, 2))
    flipped = np.flatnonzero(~is_right(a.answers, b.answers))
    order = flipped[np.lexsort((-b.sure[flipped], kinds[flipped]))]
    return [
        {
            "kind": _KINDS[kinds[k]],
            "text": shorten(data.texts[k]),
            "given": name_labels(data.targets[k], data.labels),
            "a": name_labels(a.answers[k], data.labels),
            "b": name_labels(b.answers[k], data.labels),
            "score": float(b.sure[k]),
        }
        for k in order.tolist()
    ]


def _warnings(a: Manifest, b: Manifest, data: Labelled, config: BuildConfig, split: str) -> list[str]:
    found = []
    if a.data_fingerprint != b.data_fingerprint:
        found.append("A and B were built from different data: test texts of one may be training texts of the other.")
    if split in ("train", "all"):
        found.append(f"The split {split} may hold texts that A or B were trained on.")
    for name, manifest in (("A", a), ("B", b)):
        if data.fingerprint not in (None, manifest.data_fingerprint):
            found.append(f"{name} was built from other data than {config.data.path}: it may know these texts.")
    return found
