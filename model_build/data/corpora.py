"""The splits as a training reads them: tokenized, augmented where asked, with unlabelled text for distillation."""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from model_build.config import BuildConfig
from model_build.data.augment import augment
from model_build.data.clean import Dataset
from model_build.data.read import read_texts
from model_build.data.tokens import TokenizedTexts, tokenize
from model_build.data.unlabelled import known_digests, sentences
from model_build.training.rows import Joined, Rows, shares
from slipway.encoding import Encoder, TokenIds

_TEXTS_A_PROCESS = 50_000  # fewer are tokenized before another process has started


@dataclass(frozen=True)
class Corpora:
    """Everything that trainings of one build read. Files go to ``work`` and are found there by a build that goes on."""

    config: BuildConfig
    dataset: Dataset
    work: Path

    def train_rows(self, encoder: Encoder, *, smoothing: float = 0.0) -> Rows:
        """The training split, followed by its changed copies if ``augment.copies`` asks for any."""
        split, labels = self.dataset.splits["train"], len(self.dataset.labels)
        tokens, targets = self.tokens("train", encoder), split.targets()
        if not self.config.augment.copies:
            return Rows(tokens, targets, labels, self.dataset.task, smoothing)
        copies = list(augment(split, self.config.augment, labels=labels, task=self.dataset.task))
        changed = [encoded.ids for encoded in encoder.encode([copy.text for copy in copies])]
        mixed = np.concatenate([shares(targets, labels), np.stack([copy.targets for copy in copies])])
        return Rows(Joined((tokens, changed)), mixed, labels, self.dataset.task, smoothing)

    def copies(self, encoder: Encoder) -> TokenizedTexts:
        """Token ids of the changed copies of training texts that teachers are to judge (``distil.copies``)."""
        split, count = self.dataset.splits["train"], self.config.distil.copies
        changes = self.config.augment.model_copy(update={"copies": count})
        changed = augment(split, changes, labels=len(self.dataset.labels), task=self.dataset.task)
        key = f"copies-{self._fingerprint}-{changes.model_dump_json()}"
        return self._tokenize((copy.text for copy in changed), encoder, "copies", key, count * len(split))

    def rows(self, name: str, encoder: Encoder) -> Rows:
        """A split as it is."""
        targets = self.dataset.splits[name].targets()
        return Rows(self.tokens(name, encoder), targets, len(self.dataset.labels), self.dataset.task)

    def first_tokens(self, name: str, encoder: Encoder, count: int) -> list[TokenIds]:
        """Token ids of the first texts of a split."""
        tokens = self.tokens(name, encoder)
        return [tokens[index] for index in range(min(count, len(tokens)))]

    def tokens(self, name: str, encoder: Encoder) -> TokenizedTexts:
        """Token ids of a split, or of the ``unlabelled`` texts, tokenized once for each tokenizer."""
        texts: Iterable[str] = self.unlabelled if name == "unlabelled" else self.dataset.splits[name].texts()
        key = f"{name}-{self._fingerprint}-{self.config.data.unlabelled}-{self.config.data.unlabelled_texts}"
        size = len(self.unlabelled) if name == "unlabelled" else len(self.dataset.splits[name])
        return self._tokenize(texts, encoder, name, key, size)

    def _tokenize(self, texts: Iterable[str], encoder: Encoder, name: str, key: str, size: int) -> TokenizedTexts:
        processes = min(os.cpu_count() or 1, 1 + size // _TEXTS_A_PROCESS)
        return tokenize(texts, encoder, self.work / "tokens" / name, key=key, processes=processes)

    @cached_property
    def _fingerprint(self) -> str:
        return self.dataset.fingerprint()  # reads every text

    @cached_property
    def unlabelled(self) -> list[str]:
        """Sentences of ``data.unlabelled`` that are in no split, kept in ``work``."""
        saved = self.work / "unlabelled.json"
        if saved.exists():
            return list(json.loads(saved.read_text("utf-8")))
        known = set().union(*(known_digests(split) for split in self.dataset.splits.values()))
        data = self.config.data
        found = sentences(read_texts(data), known=known, limit=data.unlabelled_texts, seed=data.seed)
        partial = saved.with_suffix(".partial")
        partial.write_text(json.dumps(found), "utf-8")
        partial.rename(saved)
        return found
