"""A pretrained tokenizer without the tokens that the training texts never use.

A multilingual base brings a quarter of a million tokens, most of them of other languages, and their embeddings are four
fifths of its size. What stays: special tokens, tokens that occur, and single characters, so that no character that the
base could read becomes unknown. Texts whose tokens all stay are cut as before: both unigram and WordPiece choose the
best of the pieces there are, and the best one still is there.
"""

import json
from collections.abc import Collection
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn

from model_build.training.networks import Classifier, embeddings_of
from slipway.errors import BuildError

_MARKS = "▁#"  # of pieces that begin a word (SentencePiece) or continue one (WordPiece)


def trim_tokenizer(tokenizer: Tokenizer, used: Collection[int]) -> tuple[Tokenizer, list[int]]:
    """The tokenizer with ``used``, special tokens and characters only; and the old id of each of its tokens.

    Raises BuildError as ``check_trimmable`` does.
    """
    check_trimmable(tokenizer)
    document = json.loads(tokenizer.to_str())
    special = {token["id"] for token in document["added_tokens"]}
    pieces = tokenizer.get_vocab(with_added_tokens=True)
    kept = sorted(i for piece, i in pieces.items() if i in special or i in used or len(piece.strip(_MARKS)) <= 1)
    _renumber(document, kept)
    return Tokenizer.from_str(json.dumps(document)), kept


def check_trimmable(tokenizer: Tokenizer) -> None:
    """Raises BuildError for a tokenizer that merges (BPE): there a token needs those that it is merged from."""
    kind = type(tokenizer.model).__name__
    if kind not in ("Unigram", "WordPiece", "WordLevel"):
        raise BuildError(
            f"A {kind} tokenizer's vocabulary cannot be trimmed.",
            remedy="Leave out network.trim_vocabulary, and the step trim of compress.recipes.",
        )


def trim_embeddings(network: Classifier, kept: list[int]) -> None:
    """Keep these rows of the table of token embeddings, in this order; ``pad_id`` follows."""
    table = embeddings_of(network)
    network.pad_id = kept.index(network.pad_id)
    fewer = nn.Embedding(len(kept), table.embedding_dim, padding_idx=network.pad_id)
    fewer.weight = nn.Parameter(table.weight.detach()[torch.tensor(kept)].clone())
    network.encoder.set_input_embeddings(fewer)
    network.encoder.config.vocab_size = len(kept)
    network.encoder.config.pad_token_id = network.pad_id


def _renumber(document: dict[str, Any], kept: list[int]) -> None:
    new = {old: index for index, old in enumerate(kept)}
    model = document["model"]
    if model["type"] == "Unigram":
        model["vocab"] = [model["vocab"][old] for old in kept if old < len(model["vocab"])]
        model["unk_id"] = new[model["unk_id"]] if model["unk_id"] is not None else None
    else:
        model["vocab"] = {piece: new[old] for piece, old in model["vocab"].items() if old in new}
    for token in document["added_tokens"]:
        token["id"] = new[token["id"]]
    _renumber_specials(document["post_processor"] or {}, new)
    document["padding"] = document["truncation"] = None


def _renumber_specials(processor: dict[str, Any], new: dict[int, int]) -> None:
    for part in processor.get("processors", ()):
        _renumber_specials(part, new)
    for token in processor.get("special_tokens", {}).values():  # TemplateProcessing
        token["ids"] = [new[old] for old in token["ids"]]
    for name in ("sep", "cls"):  # BertProcessing and RobertaProcessing
        if name in processor:
            processor[name] = [processor[name][0], new[processor[name][1]]]
