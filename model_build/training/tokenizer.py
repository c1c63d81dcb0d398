"""A tokenizer learnt from the training texts: byte-pair encoding or a unigram model, for scripts without spaces too.

Words and runs of punctuation are cut apart first. Where a script puts no spaces between words, as in Chinese or Thai, a
run of letters is one such word, and tokens of several characters grow inside it.
"""

from collections import Counter
from collections.abc import Iterable

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from model_build.sections import NetworkConfig
from model_build.training.unigram import fit_unigram

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
PAD_ID, UNKNOWN_ID, _START_ID, _END_ID = range(len(SPECIAL_TOKENS))

_CHARACTERS = 8_000_000  # of texts that are learnt from: Chinese takes 200 bytes of memory for each
_LONGEST = 16  # characters of a token
_COUNTED = 2_000_000  # of those, characters that a unigram model is fitted to, several times over
_SEEDS = 4  # pieces a unigram model starts from, for each that it keeps


def train_tokenizer(texts: Iterable[str], config: NetworkConfig) -> tuple[Tokenizer, int]:
    """A tokenizer of at most ``config.vocabulary`` tokens, and its padding id.

    The first 8 million characters count, a fair sample because a split is shuffled. The same texts give the same
    tokenizer to the byte. Half of the vocabulary at most are single characters, the most frequent ones; any other
    character becomes ``[UNK]``. Few texts give fewer tokens.
    """
    tokenizer = _untrained(config)
    sample = list(_first(texts, _CHARACTERS))
    alphabet = _alphabet(tokenizer, sample, (config.vocabulary - len(SPECIAL_TOKENS)) // 2)
    if config.tokenizer == "bpe":
        _learn_merges(tokenizer, sample, alphabet, config.vocabulary)
    else:
        _learn_merges(tokenizer, sample, alphabet, _SEEDS * config.vocabulary)
        counted = list(_first(sample, _COUNTED))
        fit_unigram(tokenizer, counted, vocabulary=config.vocabulary, special=SPECIAL_TOKENS, unknown=UNKNOWN_ID)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", _START_ID), ("[SEP]", _END_ID)]
    )
    return tokenizer, PAD_ID


def _untrained(config: NetworkConfig) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN_ID], fuse_unk=True))
    steps = [normalizers.NFKC(), normalizers.Lowercase()] if config.lowercase else [normalizers.NFKC()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def _learn_merges(tokenizer: Tokenizer, texts: list[str], alphabet: list[str], vocabulary: int) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        max_token_length=_LONGEST,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)


def _alphabet(tokenizer: Tokenizer, texts: list[str], most: int) -> list[str]:
    """The most frequent characters; left to itself the trainer breaks ties by the order of a hash table, at random."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(tokenizer.normalizer.normalize_str(text))
    found = [character for character in counts if not character.isspace()]
    return sorted(found, key=lambda character: (-counts[character], character))[:most]


def _first(texts: Iterable[str], characters: int) -> Iterable[str]:
    for text in texts:
        yield text[:characters]
        characters -= len(text)
        if characters <= 0:
            return
