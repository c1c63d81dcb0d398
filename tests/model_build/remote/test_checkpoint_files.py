"""Every file of a work directory, cut off anywhere, as a copy to S3 that was interrupted may leave it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model_build.remote.checkpoint_files import drop_torn, is_whole

FILES = ("model.safetensors", "optimizer.pt", "scheduler.pt", "trainer_state.json")


def write(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".json":
        file.write_text(json.dumps({"kept": [0, 2, 4]}))
    elif file.suffix == ".safetensors":
        save_file({"weight": torch.ones(4, 4), "bias": torch.ones(4)}, file)
    else:
        torch.save({"weight": torch.ones(4)}, file)
    return file


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Two checkpoints of one training, another training that ended, a note, and what can be made again."""
    for step in (10, 20):
        for name in FILES:
            write(tmp_path / "full/checkpoints" / f"checkpoint-{step}" / name)
    write(tmp_path / "teacher-2/trained.pt")
    write(tmp_path / "cut-0.5.json")
    write(tmp_path / "tokens/train/0a.ids")
    return tmp_path


def kept(work: Path) -> set[str]:
    return {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()}


def test_what_is_whole_stays_and_what_can_be_made_again_goes(work: Path) -> None:
    before = kept(work)
    drop_torn(work)
    assert before - kept(work) == {"tokens/train/0a.ids"}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_checkpoint_with_a_file_that_was_cut_off_goes_and_the_one_before_stays(
    work: Path, name: str, share: float
) -> None:
    file = work / "full/checkpoints/checkpoint-20" / name
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    drop_torn(work)
    assert [path.name for path in (work / "full/checkpoints").iterdir()] == ["checkpoint-10"]


@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_that_lacks_a_file_goes(work: Path, name: str) -> None:
    (work / "full/checkpoints/checkpoint-10" / name).unlink()
    drop_torn(work)
    assert [path.name for path in (work / "full/checkpoints").iterdir()] == ["checkpoint-20"]


@pytest.mark.parametrize("name", ["teacher-2/trained.pt", "cut-0.5.json"])
def test_weights_and_notes_that_were_cut_off_go(work: Path, name: str) -> None:
    file = work / name
    file.write_bytes(file.read_bytes()[:-10])
    drop_torn(work)
    assert name not in kept(work)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\5\0\0\0\0\0\0\0hello", b"\x02\0\0\0\0\0\0\0{}"])
def test_bytes_that_are_no_tensors_are_not_whole(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    assert not is_whole(tmp_path / "model.safetensors")
