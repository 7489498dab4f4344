"""Our event files, read by TensorBoard itself (which checks every checksum)."""

import os
import pathlib
import subprocess

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

PROGRAM = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "write_events"


def test_tensorboard_reads_every_point(tmp_path):
    subprocess.run([PROGRAM, tmp_path], check=True)
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    events.Reload()
    assert events.Tags()["scalars"] == ["train/loss", "val/loss"]
    loss = events.Scalars("train/loss")
    assert [point.step for point in loss] == list(range(1, 301))
    assert [point.value for point in loss] == pytest.approx([1 / step for step in range(1, 301)], rel=1e-6)
    assert [point.wall_time for point in loss] == [1_700_000_000 + step for step in range(1, 301)]
    assert [(point.step, point.value) for point in events.Scalars("val/loss")] == [(100, 0), (200, 1), (300, 2)]
    assert events.file_version == 2.0


def test_a_run_that_goes_on_replaces_what_it_does_again(tmp_path):
    subprocess.run([PROGRAM, tmp_path], check=True)
    for first in (201, 101):
        subprocess.run([PROGRAM, tmp_path, str(first)], check=True)
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    events.Reload()
    loss = events.Scalars("train/loss")
    assert [point.step for point in loss] == list(range(1, 301))
    expected = [(1 if step < 101 else 2) / step for step in range(1, 301)]
    assert [point.value for point in loss] == pytest.approx(expected, rel=1e-6)
    assert [point.step for point in events.Scalars("val/loss")] == [100, 200, 300]


def test_tensorboard_reads_the_text(tmp_path):
    subprocess.run([PROGRAM, tmp_path], check=True)
    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    assert events.Tags()["tensors"] == ["config/text_summary"]
    assert events.PluginTagToContent("text").keys() == {"config/text_summary"}
    [text] = events.Tensors("config/text_summary")
    assert list(text.tensor_proto.string_val) == [b"    lr: 0.1\n"]
