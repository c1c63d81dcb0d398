"""Recipes carried out: from the trained network to a smaller one, step by step, each step resumable."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from model_build.compression.cut import LayerCost, cut, keep_layers
from model_build.compression.distil import soft_targets, teacher_logits
from model_build.compression.prune import plan_pruning, prune
from model_build.compression.soup import choose, mean_weights
from model_build.data.corpora import Corpora
from model_build.graphs.export import save, to_onnx
from model_build.recipe import Step, StepName, parse_recipe
from model_build.sections import NetworkConfig, TrainConfig
from model_build.training import bases
from model_build.training.networks import Classifier, build_network, embeddings_of
from model_build.training.rows import Joined, Rows
from model_build.training.tokenizer import train_tokenizer
from model_build.training.train import Training, train_once
from model_build.training.trainer import OnCheck, dev_score
from model_build.training.trimming import check_trimmable, trim_embeddings, trim_tokenizer
from model_build.training.vectors import token_vectors
from slipway.encoding import Encoder
from slipway.network import Network

_SCORED_TEXTS = 2_000  # of dev, for each set of layers that is tried
_PRUNING_TEXTS = 512
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A network with its tokenizer; ``report`` says how the last training went, ``layer_costs`` what cutting found."""

    network: Classifier
    encoder: Encoder
    report: dict[str, Any]
    layer_costs: list[LayerCost] = field(default_factory=list)

    @property
    def pad_id(self) -> int:
        return self.network.pad_id


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Where networks are made: the texts, the directory for what must survive a kill, and who is told."""

    corpora: Corpora
    work: Path
    console: Console
    scalars: Path | None = None
    threads: int = 1

    def train_full(self, *, number: int = 1, on_check: OnCheck | None = None) -> Trained:
        """Train the network of ``[network]``; ``number`` above 1 is another teacher, of another seed."""
        config = self.corpora.config
        stage = "full" if number == 1 else f"teacher-{number}"
        settings = config.train.model_copy(update={"seed": config.train.seed + number - 1})
        start = self.fresh(config.network, seed=settings.seed)
        if any(step.name == "trim" for recipe in config.recipes for step in parse_recipe(recipe)):
            check_trimmable(start.encoder.tokenizer)  # rather than after hours of training
        return self._train(start, self._rows(start, settings), settings, stage, on_check=on_check)

    def fresh(self, config: NetworkConfig, *, seed: int) -> Trained:
        """A network that is not trained yet, with its tokenizer: the base's, or one learnt from the training texts."""
        dataset = self.corpora.dataset
        if config.kind == "pretrained":
            tokenizer, pad_id = bases.load_tokenizer(config.base)
        else:
            tokenizer, pad_id = train_tokenizer(dataset.splits["train"].texts(), config)
        encoder = Encoder(tokenizer, max_tokens=config.max_tokens)
        size = tokenizer.get_vocab_size(with_added_tokens=True)
        network = build_network(config, labels=len(dataset.labels), vocabulary=size, pad_id=pad_id, seed=seed)
        if config.keep_layers:
            keep_layers(network, sorted(set(config.keep_layers)))
        if config.vectors == "cooccurrence":
            self._start_embeddings(network, encoder, size, seed)
        made = Trained(network=network, encoder=encoder, report={})
        return self._trim(made) if config.trim_vocabulary else made

    def _trim(self, made: Trained) -> Trained:
        tokenizer, kept = trim_tokenizer(made.encoder.tokenizer, self._used(made.encoder))
        trim_embeddings(made.network, kept)
        return replace(made, encoder=Encoder(tokenizer, max_tokens=made.encoder.max_tokens))

    def _start_embeddings(self, network: Classifier, encoder: Encoder, vocabulary: int, seed: int) -> None:
        table = embeddings_of(network)
        vectors = token_vectors(self._texts(encoder), vocabulary=vocabulary, width=table.embedding_dim, seed=seed)
        with torch.no_grad():
            table.weight.copy_(torch.from_numpy(vectors) * table.weight.std())

    def _texts(self, encoder: Encoder) -> Joined:
        """Tokens of all texts that training may look at, the labelled ones first."""
        names = ["train", *(["unlabelled"] if self.corpora.config.data.unlabelled else [])]
        return Joined(tuple(self.corpora.tokens(name, encoder) for name in names))

    def _used(self, encoder: Encoder) -> set[int]:
        texts = self._texts(encoder)
        return {int(token) for index in range(len(texts)) for token in texts[index]}

    def follow(self, recipe: str, full: Trained) -> Trained:
        """The network that ``recipe`` makes of ``full``, which stays as it is."""
        made = replace(full, network=copy.deepcopy(full.network))
        done: list[str] = []
        for part, step in zip(recipe.split("+"), parse_recipe(recipe), strict=True):
            done.append(part.strip())
            made = self._take(step, made, full, "+".join(done))
        return made

    def _take(self, step: Step, made: Trained, full: Trained, stage: str) -> Trained:
        steps: dict[StepName, Callable[[], Trained]] = {
            "full": lambda: made,
            "cut": lambda: self._cut(step, made, stage),
            "prune": lambda: self._prune(step, made, stage),
            "soup": lambda: self._soup(full, stage),
            "student": self._student,
            "tune": lambda: self._tune(made, stage),
            "distil": lambda: self._distil(made, full, stage),
            "trim": lambda: self._trim(made),
        }
        return steps[step.name]()

    def _prune(self, step: Step, made: Trained, stage: str) -> Trained:
        prune(made.network, self._remember(f"{stage}.json", lambda: self._pruning_plan(step, made)))
        return made

    def _student(self) -> Trained:
        config = self.corpora.config
        assert config.student is not None  # noqa: S101 - BuildConfig has checked it
        return self.fresh(config.student, seed=config.train.seed)

    def _tune(self, made: Trained, stage: str) -> Trained:
        settings = self.corpora.config.train
        return self._train(made, self._rows(made, settings), settings, stage)

    def _cut(self, step: Step, made: Trained, stage: str) -> Trained:
        def search() -> dict[str, Any]:
            kept, costs = cut(copy.deepcopy(made.network), step, lambda network: self._score(network, made.encoder))
            return {"kept": kept, "costs": costs}

        found = self._remember(f"{stage}.json", search)
        keep_layers(made.network, found["kept"])
        return replace(made, layer_costs=[*made.layer_costs, *found["costs"]])

    def _soup(self, full: Trained, stage: str) -> Trained:
        networks = [teacher.network for teacher in self._teachers(full)]

        def search() -> list[int]:
            return [*choose(networks, [*map(score, networks)], score)]

        def score(network: Classifier) -> float:
            return self._score(network, full.encoder)

        members = self._remember(f"{stage}.json", search)
        mixed = copy.deepcopy(full.network)
        mixed.load_state_dict(mean_weights([networks[index] for index in members]))
        return replace(full, network=mixed.eval(), report={**full.report, "stage": stage, "soup_of": len(members)})

    def _teachers(self, full: Trained) -> list[Trained]:
        count = self.corpora.config.distil.teachers
        return [full, *(self.train_full(number=n) for n in range(2, count + 1))]

    def _distil(self, made: Trained, full: Trained, stage: str) -> Trained:
        """Train on soft targets for the training split, the unlabelled texts and changed copies."""
        config = self.corpora.config
        settings = config.train.model_copy(update=config.distil.model_dump(include=_DISTIL_TRAINING))
        tokens, asked = self._taught(made.encoder), self._taught(full.encoder)
        logits = [self._ask(teacher, f"teacher-{n}", asked) for n, teacher in enumerate(self._teachers(full), 1)]
        dataset = self.corpora.dataset
        gold = dataset.splits["train"].targets()
        targets = soft_targets(logits, gold, config.distil, labels=len(dataset.labels), task=dataset.task)
        rows = Rows(tokens, targets, len(dataset.labels), dataset.task)
        return self._train(made, rows, settings, stage, softness=config.distil.temperature)

    def _taught(self, encoder: Encoder) -> Joined:
        """Tokens of all texts that teachers judge, the labelled ones first."""
        texts = self._texts(encoder)
        return Joined((*texts.parts, self.corpora.copies(encoder))) if self.corpora.config.distil.copies else texts

    def _ask(self, teacher: Trained, name: str, rows: Joined) -> Any:
        directory = self.work / "teachers"
        directory.mkdir(parents=True, exist_ok=True)
        graph = directory / f"{name}.onnx"
        save(to_onnx(teacher.network), graph)
        with self.console.status(f"  {name} answers {len(rows)} texts"):
            return teacher_logits(
                graph, rows, pad_id=teacher.pad_id, threads=self.threads, saved=directory / f"{name}.npy"
            )

    def _train(
        self,
        made: Trained,
        rows: Rows,
        config: TrainConfig,
        stage: str,
        *,
        softness: float | None = None,
        on_check: OnCheck | None = None,
    ) -> Trained:
        name = _file_name(stage)
        training = Training(
            network=made.network,
            train=rows,
            dev=self.corpora.rows("dev", made.encoder),
            config=config,
            directory=self.work / name,
            stage=stage,
            softness=softness,
            scalars=self.scalars / name if self.scalars else None,
        )
        return replace(made, report={"stage": stage} | train_once(training, self.console, on_check))

    def _rows(self, made: Trained, config: TrainConfig) -> Rows:
        return self.corpora.train_rows(made.encoder, smoothing=config.label_smoothing)

    def _score(self, network: Classifier, encoder: Encoder) -> float:
        """Dev score of a network as it is, through the graph that would ship."""
        path = self.work / "scored.onnx"
        save(to_onnx(network.eval()), path)
        rows = self.corpora.rows("dev", encoder)
        count = min(len(rows), _SCORED_TEXTS)
        answers = Network(path, pad_id=network.pad_id, threads=self.threads).logits(
            [rows.tokens[index] for index in range(count)]
        )
        batch = [rows[index] for index in range(count)]
        return dev_score(answers, rows.collate(batch, network.pad_id)["labels"].numpy(), rows.task)

    def _pruning_plan(self, step: Step, made: Trained) -> Any:
        rows = self._rows(made, self.corpora.config.train)
        chosen = np.random.default_rng(self.corpora.config.train.seed).permutation(len(rows))[:_PRUNING_TEXTS]
        torch.manual_seed(self.corpora.config.train.seed)
        batches = (
            rows.collate([rows[int(i)] for i in chosen[start : start + _BATCH]], made.pad_id)
            for start in range(0, len(chosen), _BATCH)
        )
        return plan_pruning(made.network, step, batches, rows.task)

    def _remember(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, as JSON in ``work``: a search is not done again by a build that goes on."""
        path = self.work / _file_name(name)
        if not path.exists():
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(make()))
            partial.rename(path)
        return json.loads(path.read_text())


_DISTIL_TRAINING = {"epochs", "batch_size", "learning_rate"}


def _file_name(stage: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+=-]+", "-", stage)
