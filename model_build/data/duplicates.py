"""Texts that are the same, found by sorting digests."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_build.data.splits import Indices

REASONS = ("", "exact duplicate", "normalized duplicate", "conflicting labels")
_KEPT, _EXACT, _NORMALIZED, _CONFLICT = range(4)
Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Duplicates:
    """Which of ``rows`` rows go: ``gone``, ascending, the index into ``REASONS`` of each, and the first of its form."""

    rows: int
    gone: Indices
    reasons: npt.NDArray[np.uint8]
    firsts: Indices

    @property
    def kept(self) -> Indices:
        """The rows that stay, ascending."""
        stays = np.ones(self.rows, bool)
        stays[self.gone] = False
        return np.flatnonzero(stays)

    def counts(self) -> dict[str, int]:
        """Rows by the reason for which they go."""
        counts = np.bincount(self.reasons, minlength=len(REASONS))
        return {reason: int(count) for reason, count in zip(REASONS, counts, strict=True) if reason and count}


def find_duplicates(forms: Digests, exact: Digests, labels: Indices) -> Duplicates:
    """Look at rows of the same form (rows, 2) in their order: the first stays unless another has other labels.

    Then nobody can tell which is right, and none stays. Those before the first that disagrees count as duplicates,
    ``exact`` (rows,) ones where the text is the first one's to the letter.
    """
    order = np.lexsort((forms[:, 1], forms[:, 0]))  # stable
    begins = _begins(forms, order)
    alone = begins & np.append(begins[1:], True)[: len(begins)]
    order, begins = order[~alone], begins[~alone]  # what has no like needs no more memory
    heads, group = np.flatnonzero(begins), np.cumsum(begins) - 1
    firsts = order[heads][group]
    conflict = _conflicts(labels[order] != labels[firsts], heads, group)
    same = np.where(exact[order] == exact[firsts], _EXACT, _NORMALIZED)
    reasons = np.where(conflict, _CONFLICT, np.where(begins, _KEPT, same)).astype(np.uint8)
    goes = np.flatnonzero(reasons)
    goes = goes[np.argsort(order[goes])]
    return Duplicates(len(forms), order[goes], reasons[goes], firsts[goes])


def _begins(forms: Digests, order: Indices) -> npt.NDArray[np.bool_]:
    """Where, in this order, another form begins."""
    begins = np.zeros(len(order), bool)
    begins[:1] = True
    for half in (0, 1):
        values = forms[order, half]
        begins[1:] |= values[1:] != values[:-1]
    return begins


def _conflicts(disagrees: npt.NDArray[np.bool_], heads: Indices, group: Indices) -> npt.NDArray[np.bool_]:
    """From the first in a group that disagrees with its head to the end of the group; and that head."""
    so_far = np.cumsum(disagrees)
    conflict: npt.NDArray[np.bool_] = np.greater(so_far, so_far[heads][group])  # a head agrees with itself
    conflict[heads] = np.append(conflict[heads[1:] - 1], conflict[-1:])
    return conflict
