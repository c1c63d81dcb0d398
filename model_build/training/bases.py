"""Pretrained encoders and their tokenizers, from a directory, an installed package or the hub."""

import contextlib
import io
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from transformers import AutoTokenizer
from transformers.utils import logging

from model_build.locations import local_path
from slipway.artifact import TOKENIZER, VOCABULARY
from slipway.encoding import read_quickly
from slipway.errors import BuildError


def load_base(loader: Any, base: str) -> Any:
    """What ``loader`` (an Auto class of transformers) makes of ``base``. Raises BuildError if it cannot be loaded."""
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


def load_tokenizer(base: str) -> tuple[Tokenizer, int]:
    """The base's tokenizer and its padding id. Raises BuildError if it has neither a fast form nor padding."""
    tokenizer = load_base(AutoTokenizer, base)
    if not getattr(tokenizer, "is_fast", False) or tokenizer.pad_token_id is None:
        raise BuildError(
            f"{base} has no tokenizer.json with a padding token.",
            remedy="Choose a base with a fast tokenizer, or convert it with transformers.",
        )
    return tokenizer.backend_tokenizer, int(tokenizer.pad_token_id)


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Write ``tokenizer.json`` without padding and truncation, and ``vocab.txt`` if that gives the same again."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    path, words = directory / TOKENIZER, directory / VOCABULARY
    tokenizer.save(str(path), pretty=False)
    if isinstance(tokenizer.model, WordPiece):
        tokenizer.model.save(str(directory))
        if read_quickly(path, words).to_str() != tokenizer.to_str():
            words.unlink()


def _remedy(known: bool) -> str:
    return "It needs config.json, weights and tokenizer.json." if known else "Name a directory, or a model on the hub."
