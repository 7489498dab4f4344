"""A corpus of bad arrays and tables, written by NumPy and by hand: each is refused with its reason, and what is
accepted NumPy and Python's csv module read alike."""

import csv
import hashlib
import io
import json
import os
import pathlib
import pickle
import random
import struct
import subprocess

import numpy as np
import pytest

TOOL = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "data_files_tool"
SHAPE = (5, 4, 14, 3)
FILE_COUNT = 1500  # of mutated files


def run(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def saved(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asanyarray(array), version=version)
    return file.getvalue()


def with_header(text, data_bytes, version=1):
    header = text.encode("latin1")
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + bytes(data_bytes)


def dictionary(shape, descr="'<f2'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


class Trap:
    """A pickle that would create a file when it is executed."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (self.file, "w")


GOOD = np.arange(np.prod(SHAPE)).reshape(SHAPE)

# What the preflight says of an array in the place of p1_R2.npy (4 residues, 4 frames needed); None: it is good.
ARRAYS = {
    "float16": (saved(GOOD.astype("<f2")), None),
    "float32": (saved(GOOD.astype("<f4")), None),
    "version 2": (saved(GOOD.astype("<f2"), (2, 0)), None),
    "version 3": (saved(GOOD.astype("<f2"), (3, 0)), None),
    "Python 2": (with_header(dictionary("(5L, 4L, 14L, 3L)"), 1680), None),
    "empty": (b"", "empty: 0 bytes"),
    "truncated in the magic": (saved(GOOD.astype("<f2"))[:4], "truncated: the .npy header ends early"),
    "truncated in the header": (saved(GOOD.astype("<f2"))[:60], "truncated: the .npy header ends early"),
    "truncated in the data": (saved(GOOD.astype("<f2"))[:-7], "truncated: 1673 bytes of data, 1680 expected"),
    "longer": (saved(GOOD.astype("<f2")) + b"x", "longer than its header says"),
    "text": (b"name,seqres\n" * 9, "not an .npy file"),
    "zip (npz)": (b"PK\x03\x04" + bytes(99), "not an .npy file"),
    "version 9": (b"\x93NUMPY\x09\x00" + bytes(120), "unknown .npy version 9.0"),
    "int32": (saved(GOOD.astype("<i4")), "dtype '<i4', expected '<f2' or '<f4'"),
    "bool": (saved(GOOD.astype(bool)), "dtype '|b1', expected"),
    "float64": (saved(GOOD.astype("<f8")), "dtype '<f8', expected"),
    "complex64": (saved(GOOD.astype("<c8")), "dtype '<c8', expected"),
    "complex128": (saved(GOOD.astype("<c16")), "dtype '<c16', expected"),
    "text dtype": (saved(np.full(SHAPE, "abc")), "unknown dtype '<U3'"),
    "dates": (saved(np.zeros(SHAPE, "<M8[ns]")), "unknown dtype '<M8[ns]'"),
    "structured": (saved(np.zeros(3, [("x", "<f4"), ("y", "<f4")])), "structured arrays are not supported"),
    "big-endian": (saved(GOOD.astype(">f4")), "big-endian data (dtype '>f4'), expected '<f2' or '<f4'"),
    "Fortran order": (saved(np.asfortranarray(GOOD.astype("<f2"))), "Fortran order, expected C order"),
    "rank 3": (saved(GOOD.astype("<f2").reshape(5, 4, 42)), "shape [5, 4, 42], expected [frames, residues, 14, 3]"),
    "rank 0": (saved(np.float16(1)), "shape [], expected [frames, residues, 14, 3]"),
    "atom37": (saved(np.zeros((5, 4, 37, 3), "<f2")), "shape [5, 4, 37, 3], expected"),
    "two axes": (saved(np.zeros((5, 4, 14, 2), "<f2")), "shape [5, 4, 14, 2], expected"),
    "zero frames": (saved(np.zeros((0, 4, 14, 3), "<f2")), "0 frames, num_frames needs at least 4"),
    "few frames": (saved(np.zeros((3, 4, 14, 3), "<f2")), "3 frames, num_frames needs at least 4"),
    "zero residues": (saved(np.zeros((5, 0, 14, 3), "<f2")), "0 residues, the sequence of p1 has 4"),
    "other residues": (saved(np.zeros((5, 5, 14, 3), "<f2")), "5 residues, the sequence of p1 has 4"),
    "overflow": (with_header(dictionary("(4611686018427387904, 4, 14, 3)"), 1680), "too large"),
    "overflow with a zero": (with_header(dictionary("(0, 4611686018427387904, 4611686018427387904)"), 0), "too large"),
    "no such number": (with_header(dictionary("(99999999999999999999, 4, 14, 3)"), 1680), "too large"),
    "huge, absent": (with_header(dictionary("(1000000000, 4, 14, 3)"), 1680), "truncated: 1680 bytes of data"),
    "negative": (with_header(dictionary("(-5, 4, 14, 3)"), 1680), "a dimension is not a number, or negative"),
    "no tuple": (with_header(dictionary("(5)"), 10), "the shape is no tuple"),
    "code": (with_header(dictionary("(__import__('os').abort(),)"), 10), "a dimension is not a number"),
    "long header": (with_header(dictionary("(5, 4, 14, 3)") + " " * 20000, 1680), "header is too large: 200"),
    "header of 4 GiB": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(200), "header is too large: 4294967295 bytes"),
}

# The text of a split, and what is said of it; None: it is good.
TABLES = {
    "plain": (b"name,seqres\np1,ACDE\n", None),
    "CRLF": (b"name,seqres\r\np1,ACDE\r\n", None),
    "CRLF, no last line feed": (b"name,seqres\r\np1,ACDE\r", None),
    "quotes": (b'"name","seqres"\n"p1","ACDE"\n', None),
    "byte order mark": (b"\xef\xbb\xbfname,seqres\np1,ACDE\n", None),
    "other columns": (b'seqres,note,name\nACDE,"a, b\nc",p1\n', None),
    "blank lines": (b"\nname,seqres\n\np1,ACDE\n\n\r\n", None),
    "empty": (b"", "empty; a header with the columns name,seqres is expected"),
    "only a mark": (b"\xef\xbb\xbf", "empty; a header"),
    "header alone": (b"name,seqres\n", "no entries after the header"),
    "no name": (b"id,seqres\np1,ACDE\n", "no column 'name' (the header has: id, seqres)"),
    "no seqres": (b"name,sequence\np1,ACDE\n", "no column 'seqres'"),
    "spaces": (b"name, seqres\np1, ACDE\n", "no column 'seqres' (the header has: name,  seqres)"),
    "semicolons": (b"name;seqres\np1;ACDE\n", "no column 'name' (the header has: name;seqres)"),
    "no header": (b"p1,ACDE\n", "no column 'name' (the header has: p1, ACDE)"),
    "column twice": (b"name,seqres,name\np1,ACDE,p1\n", "column 'name' appears 2 times"),
    "empty name": (b"name,seqres\n,ACDE\n", "line 2: the name is empty"),
    "empty sequence": (b"name,seqres\np1,\n", "line 2 (p1): the sequence is empty"),
    "twice": (b"name,seqres\np1,ACDE\np1,ACDE\n", "line 3: the name 'p1' is on line 2 already"),
    "lower case": (b"name,seqres\np1,ACdE\n", "letter 'd' at residue 3 is in lower case, 'D' is expected"),
    "unknown letter": (b"name,seqres\np1,ACXE\n", "letter 'X' at residue 3 is none of the twenty residues"),
    "ragged, short": (b"name,seqres\np1\n", "line 2: 1 fields, the header has 2"),
    "ragged, long": (b"name,seqres\np1,ACDE,x\n", "line 2: 3 fields, the header has 2"),
    "open quote": (b'name,seqres\n"p1,ACDE\n', "line 2: a quoted field does not end"),
    "quote inside": (b'name,seqres\np"1,ACDE\n', "line 2: a quote inside an unquoted field"),
    "after a quote": (b'name,seqres\n"p"1,ACDE\n', "line 2: text after a closing quote"),
    "Latin-1 name": (b"name,seqres\np\xe9,ACDE\n", "the name 'p?' is not UTF-8"),
    "Latin-1 sequence": (b"name,seqres\np1,AC\xe9E\n", "letter '?' at residue 3"),
    "UTF-16": ("name,seqres\np1,ACDE\n".encode("utf-16"), "line 1: UTF-16 text; save it as UTF-8"),
    "zero byte": (b"name,seqres\np1\x00,ACDE\n", "line 2: a zero byte: this is no text"),
    "old Mac": (b"name,seqres\rp1,ACDE\r", "line 1: a carriage return without a line feed"),
    "an array": (saved(np.zeros(3)), "a zero byte"),
    "up": (b"name,seqres\n../p1,ACDE\n", "the name '../p1' is not a plain file name"),
    "absolute": (b"name,seqres\n/etc/p1,ACDE\n", "the name '/etc/p1' is not a plain file name"),
    "subfolder": (b"name,seqres\na/p1,ACDE\n", "the name 'a/p1' is not a plain file name"),
    "dots": (b"name,seqres\n..,ACDE\n", "the name '..' is not a plain file name"),
}


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "train.csv").write_bytes(b"name,seqres\np1,ACDE\n")
    for replica in (1, 2, 3):
        (tmp_path / "data" / f"p1_R{replica}.npy").write_bytes(saved(GOOD.astype("<f2")))
    return tmp_path


def examine(folder):
    return run("examine", folder / "train.csv", folder / "data", 4)[0]


def check(found, file, reason):
    if reason is None:
        assert found.get("problems", []) == []
        assert found["arrays"] in (3, "3")
    else:
        problems = found["problems"]
        assert reason in problems[0]
        assert all(problem.startswith(str(file)) for problem in problems)


@pytest.mark.parametrize("name", ARRAYS)
def test_array(dataset, name):
    content, reason = ARRAYS[name]
    file = dataset / "data" / "p1_R2.npy"
    file.write_bytes(content)
    check(examine(dataset), file, reason)


@pytest.mark.parametrize("name", TABLES)
def test_table(dataset, name):
    content, reason = TABLES[name]
    (dataset / "train.csv").write_bytes(content)
    check(examine(dataset), dataset / "train.csv", reason)


def test_pickle_is_never_executed(dataset):
    trap = dataset / "trapped"
    pickle.loads(pickle.dumps(Trap(str(trap)))).close()
    assert trap.exists(), "the trap works"
    trap.unlink()
    file = dataset / "data" / "p1_R2.npy"
    np.save(file, np.array([Trap(str(trap))], dtype=object), allow_pickle=True)
    check(examine(dataset), file, "object arrays are not supported (dtype '|O')")
    run("npy", file)
    assert not trap.exists()


def test_one_bad_entry_hides_no_other(dataset):
    (dataset / "train.csv").write_bytes(b"name,seqres\np1,ACDE\np2,ACDE\np3,AC\n")
    (dataset / "data" / "p1_R1.npy").write_bytes(b"")
    np.save(dataset / "data" / "p3_R1.npy", np.zeros((9, 3, 14, 3), "<f4"))
    found = examine(dataset)["problems"]
    assert len(found) == 3
    for problem, text in zip(found, ("p1_R1.npy: empty", "(p2): none of p2_R1.npy, _R2, _R3 is in", "p3_R1.npy: 3 res")):
        assert text in problem


def as_numpy_reads(file):
    """None where NumPy refuses."""
    try:
        array = np.load(file, allow_pickle=False)
    except Exception:
        return None
    if array.dtype.hasobject:
        return None
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    return {"shape": list(array.shape), "sha256": hashlib.sha256(array.tobytes(order=order)).hexdigest(),
            "dtype": array.dtype.newbyteorder("<").str[1:]}


def check_npy_against_numpy(files):
    accepted = 0
    for file, ours in zip(files, run("npy", *files)):
        if "error" in ours:
            assert ours["error"].startswith(str(file))
            continue
        accepted += 1
        theirs = as_numpy_reads(file)
        assert theirs is not None, (file, file.read_bytes()[:200], ours)
        assert ours["shape"] == theirs["shape"], file.read_bytes()[:200]
        assert ours["dtype"][1:] == theirs["dtype"], file.read_bytes()[:200]
        assert ours["sha256"] == theirs["sha256"], file.read_bytes()[:200]
    return accepted


def test_numpy_reads_alike_what_we_read(tmp_path):
    files = []
    for i, (content, _) in enumerate(ARRAYS.values()):
        files.append(tmp_path / f"{i}.npy")
        files[-1].write_bytes(content)
    assert check_npy_against_numpy(files) >= 12


def mutated(chance, content, pieces):
    content = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(0, len(content))
        kind = chance.randint(0, 3)
        if kind == 0:
            content[at:at] = chance.choice(pieces)
        elif kind == 1:
            del content[at:at + chance.randint(1, 4)]
        elif kind == 2 and at < len(content):
            content[at] = chance.randint(0, 255)
        else:
            content[at:at] = content[at:at + chance.randint(0, 12)]
    return bytes(content)


def test_numpy_reads_alike_what_we_read_of_mutated_headers(tmp_path):
    chance = random.Random(1)
    pieces = [b" ", b"\t", b",", b"(", b")", b"0", b"L", b"'", b'"', b"\\n", b"True", b"-", b"1", b"#", b"\n", b"_"]
    files = []
    for i in range(FILE_COUNT):
        text = dictionary("(2, 3)", "'<f4'")[:-1] + " " * chance.randint(0, 9) + "\n"
        if i % 3:
            text = mutated(chance, text.encode("latin1"), pieces).decode("latin1")
            content = with_header(text, 24, chance.randint(1, 3))
        else:
            content = mutated(chance, with_header(text, 24), pieces)
        files.append(tmp_path / f"{i}.npy")
        files[-1].write_bytes(content)
    assert check_npy_against_numpy(files) > FILE_COUNT / 50


def python_rows(content):
    """The rows that are not blank, or None where Python refuses or cannot decode."""
    try:
        text = content.decode("utf-8-sig", errors="surrogateescape")
        return [row for row in csv.reader(io.StringIO(text, newline=""), strict=True) if row]
    except csv.Error:
        return None


def test_python_reads_alike_what_we_read_of_mutated_tables(tmp_path):
    chance = random.Random(2)
    pieces = [b'"', b",", b"\n", b"\r\n", b"\r", b'""', b"\x00", b" ", b"\xc3\xa9", b'\n"', b'",']
    good = b'name,seqres,more\r\np1,ACDE,"x"\n"p2","GG","a,b"\n\np3,"AC""D",\n'
    contents = [mutated(chance, good, pieces) for _ in range(FILE_COUNT)]
    files = []
    for i, content in enumerate(contents):
        files.append(tmp_path / f"{i}.csv")
        files[-1].write_bytes(content)
    accepted = 0
    for content, ours in zip(contents, run("csv", *files)):
        if isinstance(ours, dict):
            continue
        if any(byte > 127 for byte in content):  # JSON cannot carry what is no UTF-8
            continue
        accepted += 1
        assert ours == python_rows(content), content
    assert accepted > FILE_COUNT / 50
