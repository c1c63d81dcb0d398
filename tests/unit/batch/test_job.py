"""What a job is called and in which order: names that are free, names that S3 takes, uploads of one key."""

from dataclasses import replace

import pytest

from slipway.batch.job import OURS, Job, Request, added_columns, plain_name, refused_name
from slipway.requests import Parameters

JOB = Job(model="demo", model_version="v", bucket="b", key="inbox/demo/a/films.csv", size=1, etag="e")


@pytest.mark.parametrize(
    ("taken", "first"),
    [
        ([], "label"),
        (["text", "score"], "slipway_label"),
        (["slipway_label"], "label"),
        (["label", "slipway_label"], "slipway_slipway_label"),
        (["label", "slipway_score"], "slipway_slipway_label"),
        (["label", "slipway_label", "slipway_slipway_label"], "slipway_slipway_slipway_label"),
    ],
)
def test_our_columns_have_names_that_the_file_has_not(taken: list[str], first: str) -> None:
    added = added_columns(Request(parameters=Parameters(top_k=2)), frozenset(taken))
    assert added[0] == first
    assert not {*added} & {*taken}
    assert [plain_name(name) for name in added] == ["label", "score", "scores", "model_version"]


def test_names_that_were_taken_are_sought_as_far_as_two_prefixes() -> None:
    assert {"label", "slipway_scores", "slipway_slipway_model_version"} <= {*OURS}


@pytest.mark.parametrize(
    ("own", "other", "before"),
    [
        ("0061", "0062", True),
        ("0062", "0061", False),
        ("0061", "0061", False),
        ("00617F", "00617F01", True),
        ("0061", "00610", False),
        ("00A", "00b", True),
        ("", "0061", False),
        ("0061", "", False),
    ],
)
def test_uploads_of_a_key_are_in_the_order_of_s3(own: str, other: str, before: bool) -> None:
    assert replace(JOB, sequencer=own).is_before(replace(JOB, sequencer=other)) is before
    assert replace(JOB, sequencer=own).id == JOB.id, "one upload is one job, however it is told"


def test_a_name_is_refused_where_no_results_could_be_named_after_it() -> None:
    folder = "inbox/demo/" + "0" * 32 + "/"
    assert not refused_name("demo", folder + "a" * 200)
    assert not refused_name("demo", folder + "影" * 150 + ".csv")
    reason = refused_name("demo", folder + "影" * 190 + ".csv")
    assert "names of 1,2" in reason
    assert "S3 takes 1,024" in reason
    assert "shorter" in reason
    assert refused_name("demo", "inbox/demo/" + "folder/" * 135 + "a.csv"), "parts have longer names than one file"


@pytest.mark.parametrize("size", [900, 1_024])
def test_whatever_key_s3_took_the_job_has_a_pointer(size: int) -> None:
    job = replace(JOB, key="inbox/demo/".ljust(size, "a"))
    assert job.pointer.startswith("jobs/demo/latest/")
    assert len(job.pointer) <= 1_024
    assert job.has_outbox is (size == 900)
