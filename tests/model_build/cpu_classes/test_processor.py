"""What this CPU is said to have, and which classes of CPU a card must call unmeasured."""

from pathlib import Path

import pytest

from model_build.cpu_classes.processor import native_instruction_sets, unmeasured_classes


def cpuinfo(directory: Path, line: str) -> Path:
    path = directory / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: avx512_vnni in a name counts for nothing\n{line}\nbugs\t\t: i8mm\n")
    return path


@pytest.mark.parametrize(
    ("line", "sets"),
    [
        ("flags\t\t: fpu sse4_1 avx avx2 fma", "AVX2"),
        ("flags\t\t: avx2 avx_vnni", "AVX2, AVX-VNNI"),
        ("flags\t\t: avx2 avx512f avx512bw avx512_vnni", "AVX2, AVX-512, AVX-512 VNNI"),
        ("flags\t\t: avx2 avx512bw avx512_vnni amx_int8", "AVX2, AVX-512, AVX-512 VNNI, AMX int8"),
        ("Features\t: fp asimd atomics asimddp", "NEON, NEON dotprod"),
        ("Features\t: fp asimd asimddp sve i8mm", "NEON, NEON dotprod, NEON i8mm"),
    ],
)
def test_the_instruction_sets_are_those_of_the_flags(line: str, sets: str, tmp_path: Path) -> None:
    assert native_instruction_sets(cpuinfo(tmp_path, line)) == sets


def test_a_system_that_does_not_tell_gives_the_name_of_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert native_instruction_sets(tmp_path / "none") == "arm64"


def test_this_machine_has_some() -> None:
    assert native_instruction_sets()


@pytest.mark.parametrize(
    ("classes", "native", "missing"),
    [
        (["native"], "AVX2", ["AVX-512 VNNI", "arm64"]),  # a CPU with AVX2 and no more is that class itself
        (["native"], "AVX2, AVX-512, AVX-512 VNNI", ["AVX2 alone", "arm64"]),
        (["native"], "AVX2, AVX-512", ["AVX2 alone", "AVX-512 VNNI", "arm64"]),
        (["native", "avx2", "arm64"], "AVX2, AVX-512, AVX-512 VNNI", []),
        (["native", "avx2", "arm64"], "AVX2", ["AVX-512 VNNI"]),
        (["native"], "NEON, NEON dotprod", ["AVX2 alone", "AVX-512 VNNI"]),
        (["native"], "arm64", ["AVX2 alone", "AVX-512 VNNI"]),
    ],
)
def test_a_class_is_measured_by_an_emulator_or_by_the_cpu_of_the_build(
    classes: list[str], native: str, missing: list[str]
) -> None:
    assert unmeasured_classes(classes, native) == missing
