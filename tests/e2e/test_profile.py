"""--profile: the traces that a run leaves behind, and where its end says that the time went."""

import collections
import json
import re
import subprocess

import pytest
from service import BIN, make_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    make_dataset(folder, "--proteins", 2, "--lengths", "7,11", "--frames", 8, "--replicas", 1)
    return folder


def train(place, data, *more, ranks=1, steps=6):
    done = subprocess.run(
        [BIN / "mdgen-launch", "-n", str(ranks), "train", "--run_name", "profiled", "--train_split", data / "train.csv",
         "--data_dir", data / "data", "--atlas", "--sim_condition", "--prepend_ipa", "--num_frames", "8", "--crop", "16",
         "--embed_dim", "32", "--num_layers", "1", "--mha_heads", "4", "--batch_size", "1", "--train_repeat", "8",
         "--max_steps", str(steps), "--no_validate", *map(str, more)],
        cwd=place, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def ranges(trace):
    """How many ranges of each name a trace has."""
    return collections.Counter(event["name"] for event in json.loads(trace.read_text())["traceEvents"] if event.get("ph") == "X")


def test_each_rank_traces_so_many_steps_with_their_parts_and_operations(tmp_path, data):
    train(tmp_path, data, "--profile", 3, ranks=2)
    folder = tmp_path / "workdir/profiled/profile"
    assert {file.name for file in folder.iterdir()} == {"rank-0.generation-1.json", "rank-1.generation-1.json"}
    for trace in folder.iterdir():
        seen = ranges(trace)
        assert [seen[part] for part in ("forward", "backward", "reduce", "optimizer")] == [3, 3, 3, 3]
        assert seen["AddmmBackward0"] > 0 and seen["aten::_fused_adam_"] == 3
        assert seen["gloo:all_reduce"] > 0, "what the ranks do together is in it"


def test_a_run_that_ends_before_leaves_what_there_is(tmp_path, data):
    train(tmp_path, data, "--profile", 100, steps=4)
    (trace,) = (tmp_path / "workdir/profiled/profile").iterdir()
    assert ranges(trace)["optimizer"] == 3, "all but the first"


def test_the_end_says_where_the_time_went(tmp_path, data):
    *_, budget, summary = train(tmp_path, data).splitlines()
    assert " SUCCEEDED steps=6 " in summary
    assert re.fullmatch(r"\S+ s in steps: data \d+%, forward \d+%, backward \d+%, .*optimizer \d+%; "
                        r"at the end \d+\.\d% of what matrix products reach here", budget), budget
    shares = [int(share) for share in re.findall(r" (\d+)%", budget.split(";")[0])]
    assert 97 <= sum(shares) <= 103, budget
    assert not (tmp_path / "workdir/profiled/profile").exists()
