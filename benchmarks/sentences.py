"""Real texts: the test split of a configuration, as people wrote them and as long as they are."""

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.options import Options
from model_build.config import read_config
from model_build.data.clean import clean
from model_build.data.read import read_rows


def split_sentences(options: Options) -> tuple[list[str], np.ndarray]:
    """Texts and labels of the test split of ``options.config``."""
    config = read_config(options.config)
    with tempfile.TemporaryDirectory() as scratch:
        examples = clean(read_rows(config.data), config.data, Path(scratch)).splits["test"]
        texts = list(examples.texts())[: options.count(len(examples), 50)]
        return texts, np.asarray(examples.targets())[: len(texts)]
