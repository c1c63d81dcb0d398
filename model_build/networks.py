"""The networks that can be trained. Each maps token ids (texts, tokens) to logits (texts, labels)."""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, set_seed
from transformers.utils import logging

from model_build.config import NetworkConfig
from model_build.locations import local_path
from slipway.errors import BuildError


class PretrainedClassifier(nn.Module):
    """A pretrained encoder, the mean of its last hidden states over the tokens, and one linear layer.

    The mask follows from ``pad_id``, so that the exported graph has the token ids as its only input.
    """

    def __init__(self, encoder: nn.Module, *, labels: int, pad_id: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.pad_id = pad_id
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(encoder.config.hidden_size), labels)  # type: ignore[union-attr, arg-type]

    def forward(self, input_ids: Tensor) -> Tensor:
        """Int tensor (texts, tokens) → float tensor (texts, labels)."""
        keep = input_ids != self.pad_id
        hidden = self.encoder(input_ids=input_ids, attention_mask=keep.long()).last_hidden_state
        weights = keep.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


def load_pretrained(config: NetworkConfig, *, labels: int, pad_id: int, seed: int) -> PretrainedClassifier:
    """The pretrained base with a fresh head, drawn from ``seed``. Raises BuildError if the base cannot be loaded."""
    set_seed(seed)
    encoder = _load(AutoModel, config.base)
    limit = getattr(encoder.config, "max_position_embeddings", config.max_tokens)
    if config.max_tokens > limit:
        raise BuildError(f"network.max_tokens = {config.max_tokens}; {config.base} reads at most {limit}.")
    return PretrainedClassifier(encoder, labels=labels, pad_id=pad_id, dropout=config.dropout)


def load_tokenizer(config: NetworkConfig) -> tuple[Tokenizer, int]:
    """The base's tokenizer and its padding id. Raises BuildError if it has neither a fast form nor padding."""
    tokenizer = _load(AutoTokenizer, config.base)
    if not getattr(tokenizer, "is_fast", False) or tokenizer.pad_token_id is None:
        raise BuildError(
            f"{config.base} has no tokenizer.json with a padding token.",
            remedy="Choose a base with a fast tokenizer, or convert it with transformers.",
        )
    return tokenizer.backend_tokenizer, int(tokenizer.pad_token_id)


def _load(loader: Any, base: str) -> Any:
    path = local_path(base)
    known = path.is_dir()
    if not known and base.startswith(("package:", ".", "/", "~")):
        raise BuildError(f"There is no directory {path}.", remedy="Check network.base in the configuration.")
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a progress bar of loading weights says nothing here
            return loader.from_pretrained(str(path) if known else base)
    except Exception as error:  # safetensors, tokenizers and transformers share no base of their exceptions
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BuildError(f"The base model {base!r} cannot be loaded: {reason}", remedy=_remedy(known)) from error


def _remedy(known: bool) -> str:
    return "It needs config.json, weights and tokenizer.json." if known else "Name a directory, or a model on the hub."


def save_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write ``tokenizer.json`` as serving reads it: no padding, no truncation."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(path), pretty=False)


def cpu_has_bfloat16() -> bool:
    """Whether bf16 products run in hardware here (AVX512-BF16 or AMX); emulated ones are slower than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported())
