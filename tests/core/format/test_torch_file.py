"""Files of real torch.save and Lightning are read bit for bit, ours are opened by real torch.load, and what a pickle
could do beyond holding data is refused by name."""

import argparse
import collections
import hashlib
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import zipfile

import pytest
import torch

TOOL = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "torch_file_tool"


def dump(path):
    return json.loads(run("dump", path).stdout)


def run(*arguments, status=0):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True, timeout=30)
    assert done.returncode == status, (done.returncode, done.stderr)
    return done


def refusal(path):
    return run("dump", path, status=1).stderr


def described(value):
    """What `dump` says of a Python value."""
    if isinstance(value, torch.Tensor):
        data = value.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        names = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16",
                 torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8",
                 torch.bool: "BOOL"}
        return {"dtype": names[value.dtype], "shape": list(value.shape), "sha256": hashlib.sha256(data).hexdigest()}
    if isinstance(value, dict):
        kind = "OrderedDict" if isinstance(value, collections.OrderedDict) else "dict"
        return {kind: [described(x) for item in value.items() for x in item]}
    if isinstance(value, argparse.Namespace):
        return {"Namespace": [described(x) for item in vars(value).items() for x in item]}
    if isinstance(value, (set, frozenset)):
        return {"set": sorted(described(x) for x in value)}
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [described(x) for x in value]}
    if isinstance(value, bytes):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if isinstance(value, pathlib.PurePath):
        return str(value)
    return value


def sample():
    torch.manual_seed(1)
    base = torch.randn(6, 5)
    counts = collections.defaultdict(list)
    counts["a"].append(3)
    return {
        "none": None, "flags": [True, False], "ints": (0, 255, 256, 65535, 65536, -1, 2**31 - 1, -(2**31), 2**62),
        "floats": [0.0, -1.5, 1e-300, 0.1], "text": "ångström 蛋白", "bytes": b"\x00\xff\xe9", "set": {7},
        "empty": [(), [], {}, torch.empty(0, 3)], "path": pathlib.PurePosixPath("/runs/a"), "counts": counts,
        "ordered": collections.OrderedDict(a=1, b=collections.OrderedDict()),
        "args": argparse.Namespace(crop=256, suffix="_i40", train_batches=None, ema=True, lr=1e-4),
        "tensors": [base, base[2:4], base.t(), base[:, 1::2], torch.tensor(3.5), torch.arange(4),
                    torch.tensor([True, False]), torch.tensor([1.5], dtype=torch.bfloat16),
                    torch.tensor([1.5], dtype=torch.float16), torch.tensor([1.5], dtype=torch.float64),
                    torch.tensor([1, 2], dtype=torch.int32), torch.tensor([1, 2], dtype=torch.int16),
                    torch.tensor([1, 2], dtype=torch.int8), torch.tensor([1, 2], dtype=torch.uint8)],
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "module": torch.nn.Linear(2, 3).state_dict(),  # an OrderedDict with attributes
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_torch_save_is_read_bit_for_bit(tmp_path, protocol):
    torch.save(sample(), tmp_path / "a.pt", pickle_protocol=protocol)
    assert dump(tmp_path / "a.pt") == described(sample())


def test_one_value_in_many_places_is_read_in_each(tmp_path):
    shared = torch.ones(3)
    torch.save([shared, shared, {"a": shared}], tmp_path / "a.pt")
    assert dump(tmp_path / "a.pt") == described([shared, shared, {"a": shared}])


@pytest.mark.parametrize("weights_only", [True, False])
def test_torch_load_opens_what_is_written(tmp_path, weights_only):
    written = {key: value for key, value in sample().items() if key not in ("bytes", "set")}  # those are only read
    torch.save(written, tmp_path / "a.pt")
    run("copy", tmp_path / "a.pt", tmp_path / "b.pt")
    with torch.serialization.safe_globals([argparse.Namespace]):
        loaded = torch.load(tmp_path / "b.pt", weights_only=weights_only)
    assert described(loaded) == described(written)


class Runs:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("value, name", [
    (Runs(os.system, "touch /tmp/never"), "posix.system"),
    (Runs(eval, "1"), "builtins.eval"),
    (Runs(getattr, "text", "upper"), "builtins.getattr"),
    (torch.device("cpu"), "torch.device"),
    (torch.float32, "torch.float32"),
    (complex(1, 2), "builtins.complex"),
    (collections.Counter("a"), "collections.Counter"),
    (torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
])
def test_any_other_name_is_refused_and_named(tmp_path, value, name):
    torch.save({"a": value}, tmp_path / "a.pt")
    text = refusal(tmp_path / "a.pt")
    assert name in text.replace("__builtin__", "builtins") and "nothing of it was run" in text


def with_pickle(path, pickled, storages=(), **settings):
    with zipfile.ZipFile(path, "w", **settings) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/byteorder", "little")
        for key, data in storages:
            archive.writestr(f"archive/data/{key}", data)
        archive.writestr("archive/version", "3\n")
    return path


GET_HUGE = b"\x80\x02]q\x00(" + b"K\x01" * 100_000 + b"e0("
BOMBS = {
    "a value contains itself": b"\x80\x02]q\x00h\x00a.",
    "nested more than": b"\x80\x02" + b"(" * 500 + b"t" * 500 + b".",
    "copies its values": GET_HUGE + b"c__builtin__\nset\nh\x00\x85R" * 200_000 + b"l.",
    "recalls value 7": b"\x80\x02h\x07.",
    "stack runs empty": b"\x80\x02a.",
    "closes a group": b"\x80\x02t.",
    "truncated": b"\x80\x02X\xff\xff\xff\x7fab.",
    "not accepted": b"\x80\x02i__main__\nA\n.",
    "bare name": b"\x80\x02cargparse\nNamespace\n.",
    "more than 64 bits": b"\x80\x02\x8a\x09" + b"\x01" * 9 + b".",
    "later protocol": b"\x80\x09N.",
    "backward hooks": b"",
    "beyond its storage": b"",
    "no storage": b"\x80\x02(K\x01K\x02tQ.",
    "values": b"\x80\x02(" + b"N" * 2_100_000 + b"t.",
}


def tensor_pickle(offset=0, size=(4,), stride=(1,), hooks=b"}", items=4):
    tup = lambda values: b"(" + b"".join(b"J" + struct.pack("<i", v) for v in values) + b"t"
    return (b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
            b"X\x03\x00\x00\x00cpuJ" + struct.pack("<i", items) + b"tQJ" + struct.pack("<i", offset) + tup(size) +
            tup(stride) + b"\x89" + hooks + b"tR.")


BOMBS["backward hooks"] = tensor_pickle(hooks=b"}K\x01K\x02s")
BOMBS["beyond its storage"] = tensor_pickle(offset=1)


@pytest.mark.parametrize("reason", BOMBS)
def test_hostile_pickles_are_refused_with_the_reason(tmp_path, reason):
    text = refusal(with_pickle(tmp_path / "a.pt", BOMBS[reason], [("0", b"\0" * 16)]))
    assert reason in text and str(tmp_path / "a.pt") in text


@pytest.mark.parametrize("changes", [
    dict(size=(1 << 30, 4), stride=(0, 1)),  # 4 GiB items out of four
    dict(size=(1 << 30, 1 << 30, 1 << 30), stride=(1 << 30, 1 << 30, 1 << 30)),
    dict(size=(4,), stride=(-1,)),
    dict(offset=-1),
])
def test_views_that_would_read_elsewhere_or_blow_up_are_refused(tmp_path, changes):
    refusal(with_pickle(tmp_path / "a.pt", tensor_pickle(**changes), [("0", b"\0" * 16)]))


def test_storage_of_another_size_is_refused(tmp_path):
    text = refusal(with_pickle(tmp_path / "a.pt", tensor_pickle(), [("0", b"\0" * 12)]))
    assert "data/0 has 12 bytes, not those of 4 items" in text
    assert "no member 'archive/data/0'" in refusal(with_pickle(tmp_path / "b.pt", tensor_pickle()))


def test_zip64_is_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        for name, data in [("data.pkl", tensor_pickle()), ("data/0", struct.pack("<4f", 1, 2, 3, 4))]:
            with archive.open(f"archive/{name}", "w", force_zip64=True) as member:
                member.write(data)
    assert dump(tmp_path / "a.pt") == described(torch.tensor([1.0, 2, 3, 4]))


def test_archives_that_are_no_checkpoint_are_refused(tmp_path):
    compressed = with_pickle(tmp_path / "a.pt", pickle.dumps({}, 2), compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in refusal(compressed)
    torch.save({"a": 1}, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert "no whole zip archive" in refusal(tmp_path / "old.pt")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a.txt", "b")
    assert "no data.pkl" in refusal(tmp_path / "other.zip")
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / "script.pt")
    assert "script.pt" in refusal(tmp_path / "script.pt")
    assert "no such file" in refusal(tmp_path / "absent.pt")
    big = io.BytesIO()
    with zipfile.ZipFile(big, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/byteorder", "big")
    (tmp_path / "big.pt").write_bytes(big.getvalue())
    assert "byte order is big" in refusal(tmp_path / "big.pt")


def test_one_flipped_bit_in_a_tensor_is_noticed(tmp_path):
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pt")
    data = bytearray((tmp_path / "a.pt").read_bytes())
    data[data.index(b"\0" * 1000) + 500] ^= 1
    (tmp_path / "a.pt").write_bytes(data)
    assert "data/0' is damaged" in refusal(tmp_path / "a.pt")


def test_every_truncation_is_refused(tmp_path):
    torch.save({"a": torch.zeros(10), "b": "text"}, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    for length in range(0, len(data) - 1, max(1, len(data) // 60)):
        (tmp_path / "b.pt").write_bytes(data[:length])
        assert str(tmp_path / "b.pt") in refusal(tmp_path / "b.pt")

