"""The networks that can be trained. Each maps token ids (texts, tokens) to logits (texts, labels).

The mask follows from ``pad_id``, so that every exported graph has the token ids as its only input, and padding changes
no answer.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from transformers import AutoModel, BertConfig, BertModel, set_seed

from model_build.sections import NetworkConfig
from model_build.training.bases import load_base
from slipway.errors import BuildError

# Odd and large, so that neighbouring pairs of ids spread over the table: Knuth's multiplicative hashing constant.
_PAIR_FACTOR = 2_654_435_761
# Of embeddings that are learnt from nothing. torch draws from N(0, 1), and what training never moved, rare tokens and
# pairs, is then noise as large as what it learnt: 1 to 2 points of accuracy (docs/model-log.md).
_DEVIATION = 0.1


class Classifier(nn.Module):
    """What training, export and compression know of a network."""

    pad_id: int
    head: nn.Linear
    encoder: Any  # of a Transformer; the other networks have none

    def forward(self, input_ids: Tensor) -> Tensor:
        """Int tensor (texts, tokens) → float tensor (texts, labels)."""
        raise TypeError(f"{type(self).__name__} maps no token ids of shape {tuple(input_ids.shape)} to logits.")


class EncoderClassifier(Classifier):
    """A Transformer encoder, pretrained or not, the mean of its last hidden states, and one linear layer."""

    def __init__(self, encoder: Any, *, labels: int, pad_id: int, dropout: float) -> None:
        super().__init__()
        if getattr(encoder, "pooler", None) is not None:
            encoder.pooler = None  # not used here, and data-parallel training refuses weights without a gradient
        self.encoder = encoder
        self.pad_id = pad_id
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(int(encoder.config.hidden_size), labels)

    def forward(self, input_ids: Tensor) -> Tensor:
        keep = input_ids != self.pad_id
        hidden = self.encoder(input_ids=input_ids, attention_mask=keep.long()).last_hidden_state
        weights = keep.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
        logits: Tensor = self.head(self.dropout(pooled))
        return logits


class PooledClassifier(Classifier):
    """The mean of the embeddings of tokens and hashed token pairs, and an MLP.

    After fastText (Joulin et al. 2017, arXiv:1607.01759), with word dropout as in deep averaging networks (Iyyer et al.
    2015). A pair's row is ``(factor * first + second) mod bigrams``, computed inside the graph.
    """

    def __init__(self, config: NetworkConfig, *, vocabulary: int, labels: int, pad_id: int) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.bigrams = config.bigrams
        self.embedding = _table(vocabulary, config.width)
        self.pairs = _table(config.bigrams, config.width) if config.bigrams else None
        self.drop_token = config.embedding_dropout
        self.inner = nn.Linear(config.width, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.hidden, labels)

    def forward(self, input_ids: Tensor) -> Tensor:
        keep = (input_ids != self.pad_id).float()
        total, count = self._sum(self.embedding, input_ids, keep)
        if self.pairs is not None:
            hashed = (input_ids[:, :-1] * _PAIR_FACTOR + input_ids[:, 1:]) % self.bigrams
            pair_total, pair_count = self._sum(self.pairs, hashed, keep[:, 1:])
            total, count = total + pair_total, count + pair_count
        pooled = total / count.clamp(min=1)
        logits: Tensor = self.head(self.dropout(nn.functional.gelu(self.inner(self.dropout(pooled)))))
        return logits

    def _sum(self, table: nn.Embedding, ids: Tensor, keep: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and self.drop_token:
            keep = keep * (torch.rand_like(keep) >= self.drop_token)
        return (table(ids) * keep.unsqueeze(-1)).sum(1), keep.sum(1, keepdim=True)


class LstmClassifier(Classifier):
    """Bidirectional LSTM layers, the mean and the maximum of their outputs over the tokens, and one linear layer."""

    def __init__(self, config: NetworkConfig, *, vocabulary: int, labels: int, pad_id: int) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.embedding = _table(vocabulary, config.width)
        self.drop_token = config.embedding_dropout
        self.dropout = nn.Dropout(config.dropout)
        self.lstm = nn.LSTM(
            config.width,
            config.hidden,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.layers > 1 else 0.0,
        )
        self.head = nn.Linear(4 * config.hidden, labels)

    def forward(self, input_ids: Tensor) -> Tensor:
        keep = input_ids != self.pad_id
        embedded = self.embedding(input_ids)
        if self.training and self.drop_token:
            embedded = embedded * (torch.rand(input_ids.shape).to(embedded) >= self.drop_token).unsqueeze(-1)
        # Packed, or the backward direction would start in the padding and answers would depend on the batch.
        packed = pack_padded_sequence(self.dropout(embedded), keep.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        hidden, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=input_ids.shape[1])
        weights = keep.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * weights).sum(1) / weights.sum(1)
        peak = hidden.masked_fill(~keep.unsqueeze(-1), -1.0).amax(1)  # an LSTM's outputs are above -1
        logits: Tensor = self.head(self.dropout(torch.cat([mean, peak], 1)))
        return logits


def build_network(config: NetworkConfig, *, labels: int, vocabulary: int, pad_id: int, seed: int) -> Classifier:
    """A network that is not trained yet, drawn from ``seed``; of a pretrained one only the head is drawn.

    Raises BuildError if the base cannot be loaded or reads fewer tokens than ``config.max_tokens``.
    """
    set_seed(seed)
    if config.kind == "pooled":
        return PooledClassifier(config, vocabulary=vocabulary, labels=labels, pad_id=pad_id)
    if config.kind == "lstm":
        return LstmClassifier(config, vocabulary=vocabulary, labels=labels, pad_id=pad_id)
    encoder = _scratch_encoder(config, vocabulary) if config.kind == "transformer" else _pretrained_encoder(config)
    return EncoderClassifier(encoder, labels=labels, pad_id=pad_id, dropout=config.dropout)


def embeddings_of(network: Classifier) -> nn.Embedding:
    """The table of token embeddings."""
    table = network.encoder.get_input_embeddings() if isinstance(network, EncoderClassifier) else network.embedding
    assert isinstance(table, nn.Embedding)  # noqa: S101 - every network here begins with one
    return table


def _table(rows: int, width: int) -> nn.Embedding:
    table = nn.Embedding(rows, width)
    nn.init.normal_(table.weight, std=_DEVIATION)
    return table


def _pretrained_encoder(config: NetworkConfig) -> Any:
    encoder = load_base(AutoModel, config.base)
    limit = getattr(encoder.config, "max_position_embeddings", config.max_tokens)
    if config.max_tokens > limit:
        raise BuildError(f"network.max_tokens = {config.max_tokens}; {config.base} reads at most {limit}.")
    if encoder.config.model_type == "bert":
        _cut_positions(encoder, config.max_tokens)
    return encoder


def _cut_positions(encoder: Any, count: int) -> None:
    """Leave out what a BERT learnt for places where no token will ever be: 0.6 of 18 MB for 3 layers in int8."""
    learnt = encoder.embeddings.position_embeddings.weight.detach()
    # From given weights: new ones would be drawn first, and every later draw would be another.
    fewer: nn.Embedding = nn.Embedding.from_pretrained(learnt[:count].clone(), freeze=False)  # type: ignore[no-untyped-call]
    encoder.embeddings.position_embeddings = fewer
    for name in ("position_ids", "token_type_ids"):
        buffer = getattr(encoder.embeddings, name)
        setattr(encoder.embeddings, name, buffer[:, :count].clone())
    encoder.config.max_position_embeddings = count


def _scratch_encoder(config: NetworkConfig, vocabulary: int) -> Any:
    sizes = BertConfig(
        vocab_size=vocabulary,
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=config.hidden,
        max_position_embeddings=config.max_tokens,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
    )
    return BertModel(sizes, add_pooling_layer=False)


def cpu_has_bfloat16() -> bool:
    """Whether bf16 products run in hardware here (AVX512-BF16 or AMX); emulated ones are slower than float32."""
    return bool(torch.cpu._is_avx512_bf16_supported())
