"""Token ids on disk: those that the Encoder gives, whole or not there."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model_build.data.tokens import TokenizedTexts, tokenize
from model_build.sections import NetworkConfig
from model_build.training.tokenizer import train_tokenizer
from slipway.encoding import Encoder
from slipway.errors import BuildError

TEXTS = [f"film number {i} is {'very ' * (i % 40)}好看 👍" for i in range(57)]


def make_encoder(max_tokens: int = 16) -> Encoder:
    return Encoder(train_tokenizer(TEXTS, NetworkConfig(kind="pooled", vocabulary=300))[0], max_tokens=max_tokens)


ENCODER = make_encoder()


def assert_same(tokenized: TokenizedTexts, texts: list[str], encoder: Encoder = ENCODER) -> None:
    expected = [encoded.ids for encoded in encoder.encode(texts)]
    assert len(tokenized) == len(texts)
    assert tokenized.lengths.tolist() == [len(ids) for ids in expected]
    for found, ids in zip(tokenized, expected, strict=True):
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, ids)


def never_read() -> Iterator[str]:
    raise AssertionError("the texts were tokenized again")
    yield ""


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30), max_size=12), st.integers(1, 5))
def test_ids_are_those_of_the_encoder(tmp_path_factory: pytest.TempPathFactory, texts: list[str], chunk: int) -> None:
    directory = tmp_path_factory.mktemp("tokens")
    assert_same(tokenize(iter(texts), ENCODER, directory, key="k", processes=1, chunk=chunk), texts)


def test_several_processes_keep_the_order(tmp_path: Path) -> None:
    assert_same(tokenize(iter(TEXTS), ENCODER, tmp_path, key="k", processes=2, chunk=5), TEXTS)


def test_rows_are_indexed_as_a_list_is(tmp_path: Path) -> None:
    tokenized = tokenize(TEXTS, ENCODER, tmp_path, key="k", processes=1)
    np.testing.assert_array_equal(tokenized[-1], tokenized[len(TEXTS) - 1])
    assert len(tokenized[3:7]) == 4
    with pytest.raises(IndexError):
        tokenized[len(TEXTS)]
    tokenized[0][0] = 9  # a copy: the file is not written to
    assert_same(tokenized, TEXTS)


def test_a_pickled_copy_holds_the_path_and_not_the_ids(tmp_path: Path) -> None:
    tokenized = tokenize(TEXTS, ENCODER, tmp_path, key="k", processes=1)
    assert_same(tokenized, TEXTS)  # whatever it has read by now
    pickled = pickle.dumps(tokenized)
    assert len(pickled) < 1_000
    assert_same(pickle.loads(pickled), TEXTS)


def test_what_is_there_is_taken_and_nothing_else(tmp_path: Path) -> None:
    tokenize(TEXTS, ENCODER, tmp_path, key="k", processes=1)
    assert_same(tokenize(never_read(), ENCODER, tmp_path, key="k", processes=1), TEXTS)
    assert_same(tokenize(TEXTS[:3], ENCODER, tmp_path, key="other texts", processes=1), TEXTS[:3])
    longer = make_encoder(max_tokens=64)
    assert_same(tokenize(TEXTS, longer, tmp_path, key="k", processes=1), TEXTS, longer)


def test_an_interrupted_tokenization_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield from TEXTS[:20]
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tokenize(broken(), ENCODER, tmp_path, key="k", processes=1, chunk=4)
    assert_same(tokenize(TEXTS, ENCODER, tmp_path, key="k", processes=1), TEXTS)


@pytest.mark.parametrize("ending", [".ids", ".offsets"])
@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: os.truncate(path, 8)])
def test_files_that_do_not_belong_together_are_made_again(tmp_path: Path, ending: str, damage: object) -> None:
    tokenize(TEXTS, ENCODER, tmp_path, key="k", processes=1)
    damage(next(tmp_path.glob(f"*{ending}")))  # type: ignore[operator]
    assert_same(tokenize(TEXTS, ENCODER, tmp_path, key="k", processes=1), TEXTS)


KILLED = """
import sys, time
from pathlib import Path
from tokenizers import Tokenizer
from model_build.data.tokens import tokenize
from slipway.encoding import Encoder

def slow():
    for i in range(50):
        yield f"film number {i}"
    print("half", flush=True)
    time.sleep(60)

encoder = Encoder(Tokenizer.from_file(sys.argv[1]), max_tokens=16)
tokenize(slow(), encoder, Path(sys.argv[2]), key="k", processes=1, chunk=10)
"""


def test_a_killed_process_leaves_nothing_that_counts_and_no_lock(tmp_path: Path) -> None:
    ENCODER.tokenizer.save(str(tmp_path / "tokenizer.json"))
    files = tmp_path / "tokens"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "tokenizer.json"), str(files)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    assert list(files.glob("*.partial"))
    started = time.monotonic()
    assert_same(tokenize(TEXTS, ENCODER, files, key="k", processes=1), TEXTS)
    assert time.monotonic() - started < 30
    assert not list(files.glob("*.partial"))


def test_a_directory_that_cannot_be_written_to_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BuildError, match="cannot be written"):
        tokenize(TEXTS, ENCODER, tmp_path / "file", key="k", processes=1)
