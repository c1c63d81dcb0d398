"""Python, and nothing else."""

from benchmarks.starts import first_answer

first_answer()
