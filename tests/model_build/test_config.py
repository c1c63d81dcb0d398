"""The configuration: every mistake is one line that names the key, its value and the remedy."""

from pathlib import Path

import pytest

from model_build.config import BuildConfig, read_config
from slipway.errors import BuildError

ROOT = Path(__file__).parents[2]
MINIMAL = """model = "demo"
[data]
path = "rows.csv"
[network]
base = "some/base"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "demo.toml"
    path.write_text(MINIMAL)
    return path


def refusal(config: Path, *overrides: str) -> str:
    with pytest.raises(BuildError) as error_info:
        read_config(config, overrides)
    message = str(error_info.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.name)
def test_every_configuration_of_the_repository_loads(path: Path) -> None:
    assert isinstance(read_config(path), BuildConfig)


def test_what_is_left_out_has_a_default(config: Path) -> None:
    read = read_config(config)
    assert (read.data.text, read.data.label, read.data.dev, read.data.test) == ("text", "label", 0.1, 0.1)
    assert read.gates.cpu_classes == ("native", "avx2")  # Lambda may give either: both are gated unless told otherwise


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("data.txt=body", ("data.txt", "Did you mean 'text'?")),
        ("train.learningrate=1e-4", ("train.learningrate", "Did you mean 'learning_rate'?")),
        ("gates.parityy=1", ("gates.parityy", "Did you mean 'parity'?")),
        ("modle=other", ("modle", "Did you mean 'model'?")),
        ("dta.path=x.csv", ("dta", "Did you mean 'data'?")),
        ("train.zzz=1", ("train.zzz is not a known key.",)),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(
    config: Path, override: str, parts: tuple[str, ...]
) -> None:
    message = refusal(config, override)
    assert all(part in message for part in parts)


def test_no_suggestion_is_made_where_nothing_is_near(config: Path) -> None:
    assert "Did you mean" not in refusal(config, "train.zzz=1")


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("data.dev=0", ("data.dev", "0")),
        ("data.dev=0.5", ("data.dev", "0.5")),
        ("data.test=-0.1", ("data.test", "-0.1")),
        ("data.max_chars=0", ("data.max_chars", "0")),
        ("data.path=3", ("data.path", "3")),
        ("data.seed=soon", ("data.seed", "'soon'")),
        ("data.where=english", ("data.where", "'english'")),
        ("data.label_names=[1, 2]", ("data.label_names", "[1, 2]")),
        ("network.max_tokens=4", ("network.max_tokens", "4")),
        ("network.max_tokens=100000", ("network.max_tokens", "100000")),
        ("network.max_tokens=12.5", ("network.max_tokens", "12.5")),
        ("network.dropout=1", ("network.dropout", "1")),
        ("train.epochs=0", ("train.epochs", "0")),
        ("train.epochs=many", ("train.epochs", "'many'")),
        ("train.batch_size=0", ("train.batch_size", "0")),
        ("train.learning_rate=-1e-4", ("train.learning_rate", "-0.0001")),
        ("train.learning_rate=nan", ("train.learning_rate", "nan")),
        ("train.warmup=1", ("train.warmup", "1")),
        ("train.checks=0", ("train.checks", "0")),
        ("gates.agreement=1.5", ("gates.agreement", "1.5")),
        ("gates.accuracy_drop=-1", ("gates.accuracy_drop", "-1")),
        ('gates.cpu_classes=["sse2"]', ("gates.cpu_classes", "'sse2'", "native", "avx2")),
        ("gates.cpu_classes=avx2", ("gates.cpu_classes", "'avx2'")),
        ("data=rows.csv", ("data", "'rows.csv'")),
        ("train=[]", ("train", "[]")),
        ("model=", ("model", "''")),
    ],
)
def test_a_value_that_cannot_be_used_is_named(config: Path, override: str, parts: tuple[str, ...]) -> None:
    message = refusal(config, override)
    assert str(config) in message
    assert all(part in message for part in parts)


@pytest.mark.parametrize("name", ["Demo", "my model", "a/b", "-a", "a-", "ä", "a" * 64, "demo\n"])
def test_a_model_name_that_would_make_a_bad_key_is_refused(config: Path, name: str) -> None:
    assert repr(name) in refusal(config, f"model={name!r}".replace("'", '"'))


@pytest.mark.parametrize("key", ["model", "data", "network", "data.path"])
def test_what_is_missing_is_named(tmp_path: Path, key: str) -> None:
    section, _, name = key.rpartition(".")
    keys = {"model": 'model = "demo"', "data.path": 'path = "rows.csv"', "network.base": 'base = "b"'}
    lines = [] if key == "model" else [keys["model"]]
    for header in ("data", "network"):
        if key == header:
            continue
        lines.append(f"[{header}]")
        lines += [line for where, line in keys.items() if where.startswith(f"{header}.") and where != key]
    path = tmp_path / "c.toml"
    path.write_text("\n".join(lines))
    assert f"{key} is missing." in refusal(path)
    assert name in key
    assert section in key


def test_splits_that_leave_too_little_to_train_on_are_refused(config: Path) -> None:
    message = refusal(config, "data.dev=0.4", "data.test=0.4")
    assert "data.dev" in message
    assert "data.test" in message


def test_an_override_takes_any_toml_value_or_a_bare_text(config: Path) -> None:
    overrides = [
        "train.epochs=0.5",
        "data.path=s3://bucket/a key.csv",
        'data.text="body = x"',
        'gates.cpu_classes=["native"]',
        "data.where.language=en",
        'data.label_names={"0" = "no", "1" = "yes"}',
        "data.seed=7",
    ]
    read = read_config(config, overrides)
    assert read.train.epochs == 0.5
    assert (read.data.path, read.data.text, read.data.seed) == ("s3://bucket/a key.csv", "body = x", 7)
    assert read.gates.cpu_classes == ("native",)
    assert read.data.where == {"language": "en"}
    assert read.data.label_names == {"0": "no", "1": "yes"}


def test_the_last_override_of_a_key_counts(config: Path) -> None:
    assert read_config(config, ["train.seed=1", "train.seed=2"]).train.seed == 2


def test_an_override_without_a_value_says_how_it_is_written(config: Path) -> None:
    assert "section.key=value" in refusal(config, "train.epochs")


@pytest.mark.parametrize("override", ["model.x=1", "data.path.x=1"])
def test_an_override_below_a_plain_value_is_refused_in_words(config: Path, override: str) -> None:
    assert override.partition(".x=")[0] in refusal(config, override)


@pytest.mark.parametrize("content", [b"model = ", b"\xff\xfe", b"[data\npath=1", b"model = 'a'\nmodel = 'b'"])
def test_what_is_not_toml_is_said_to_be_not_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    assert f"{path} is not TOML" in refusal(path)


def test_a_missing_file_is_named_with_one_to_start_from(tmp_path: Path) -> None:
    message = refusal(tmp_path / "none.toml")
    assert "none.toml" in message
    assert "configs/demo.toml" in message


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    assert str(tmp_path) in refusal(tmp_path)


@pytest.mark.parametrize("override", ["train.seed=-1", "train.seed=99999999999", "train.epochs=inf"])
def test_numbers_that_no_training_can_use_are_refused(config: Path, override: str) -> None:
    key, _, value = override.partition("=")
    message = refusal(config, override)
    assert key in message
    assert value in message


def test_two_labels_of_one_name_are_refused(config: Path) -> None:
    """They would be two classes that nobody can tell apart in an answer."""
    assert "label_names" in refusal(config, 'data.label_names={"0" = "no", "1" = "yes", "2" = "no"}')


def test_a_configuration_cannot_be_changed_after_it_was_checked(config: Path) -> None:
    read = read_config(config)
    with pytest.raises(ValueError, match="frozen"):
        read.model = "other"
