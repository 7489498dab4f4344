"""Orders, windows, times, noise and micro-batches against a second implementation, written from docs/data.md and the
headers: integers and uniforms are equal, normals to a few units in the last place, Dirichlet draws by their moments."""

import json
import os
import pathlib
import random
import struct
import subprocess

import numpy as np
import scipy.stats

PROGRAM = pathlib.Path(os.environ["MDGEN_BIN_DIR"]).parent / "tests" / "print_draws"
MASK = 0xFFFFFFFF
WINDOW, FLOW_TIME, NOISE, EPOCH_ORDER, DROPOUT = 1, 2, 3, 4, 8


def ask(questions):
    text = "".join(json.dumps(question) + "\n" for question in questions)
    out = subprocess.run([PROGRAM], input=text, capture_output=True, text=True, check=True).stdout
    answers = [json.loads(line) for line in out.splitlines()]
    assert len(answers) == len(questions)
    return answers


def philox(counter, key):
    """Philox4x32-10 after Salmon et al., SC'11."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        left, right = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (right >> 32) ^ c1 ^ k0, right & MASK, (left >> 32) ^ c3 ^ k1, left & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def keyed(seed):
    return seed & MASK, seed >> 32


def below(high, low, count):
    return ((high << 32 | low) * count) >> 64


def permutation(seed, epoch, which, count):
    order = list(range(count))
    for left in range(count, 1, -1):
        words = philox((epoch, left, EPOCH_ORDER << 24, which), keyed(seed))
        chosen = below(words[0], words[1], left)
        order[left - 1], order[chosen] = order[chosen], order[left - 1]
    return order


def bucketed(seed, epoch, count, residues, step):
    order = sorted(permutation(seed, epoch, 0, count), key=lambda v: -(-residues[v % len(residues)] // 32))
    short = []
    if count % step:
        words = philox((epoch, count // step + 1, EPOCH_ORDER << 24, 2), keyed(seed))
        begin = below(words[0], words[1], count // step + 1) * step
        short = order[begin : begin + count % step]
        order = order[:begin] + order[begin + count % step :]
    steps = [order[i : i + step] for i in range(0, len(order), step)]
    return [v for i in permutation(seed, epoch, 1, len(steps)) for v in steps[i]] + short


def cut(samples, residues, size):
    length = [residues[v % len(residues)] for v in samples]
    longest = max(length)
    budget = -(-size * sum(length) // (len(samples) * longest)) * longest
    groups = []
    for place in sorted(range(len(samples)), key=lambda i: (-length[i], i)):
        group = groups[-1] if groups else []
        if not group or len(group) == size or (len(group) + 1) * length[group[0]] > budget:
            groups.append([])
        groups[-1].append(place)
    return [[samples[i] for i in group] for group in sorted(sorted(group) for group in groups)]


def window(q):
    words = philox((q["epoch"], q["sample"], WINDOW << 24, 0), keyed(q["seed"]))
    replica = below(words[0], words[1], len(q["frames"]))
    starts = -(-q["frames"][replica] // q["frame_interval"]) - q["num_frames"] + 1
    if q["omit_last"]:
        starts = max(1, starts - 1)
    frame_start = below(words[2], words[3], starts)
    crop_start = 0
    if 0 < q["crop"] < q["residues"]:
        words = philox((q["epoch"], q["sample"], WINDOW << 24, 1), keyed(q["seed"]))
        crop_start = below(words[0], words[1], q["residues"] - q["crop"] + 1)
    flow_time = (philox((q["epoch"], q["sample"], FLOW_TIME << 24, 0), keyed(q["seed"]))[0] >> 8) * 2.0**-24
    dropout = philox((q["epoch"], q["sample"], DROPOUT << 24, 0), keyed(q["seed"]))
    words = philox((q["epoch"], q["sample"], replica, crop_start), keyed(frame_start))
    words = philox((words[0] ^ struct.unpack("<I", struct.pack("<f", flow_time))[0],) + words[1:], (0, 0))
    return {
        "replica": replica,
        "frame_start": frame_start,
        "crop_start": crop_start,
        "flow_time": flow_time,
        "dropout_key": (dropout[0] << 32 | dropout[1]) >> 1,
        "hash": (words[1] & 0xFF) << 32 | words[0],
    }


def test_philox_itself():
    """Random123's known answers."""
    assert philox((0, 0, 0, 0), (0, 0)) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    pi = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344)
    assert philox(pi, (0xA4093822, 0x299F31D0)) == (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)


def test_orders():
    chance = random.Random(1)
    questions, expected = [], []
    for _ in range(150):
        seed, epoch, count = chance.getrandbits(64), chance.randrange(20000), chance.randrange(60)
        residues = [chance.randrange(1, 300) for _ in range(chance.randrange(1, 40))]
        step = chance.randrange(1, 20)
        questions.append({"what": "order", "seed": seed, "epoch": epoch, "count": count})
        expected.append(permutation(seed, epoch, 0, count))
        questions.append(questions[-1] | {"what": "bucketed_order", "residues": residues, "step_size": step})
        expected.append(bucketed(seed, epoch, count, residues, step))
    assert ask(questions) == expected


def test_micro_batches():
    chance = random.Random(2)
    questions, expected = [], []
    for _ in range(500):
        residues = [chance.randrange(1, chance.choice([2, 20, 300])) for _ in range(chance.randrange(1, 40))]
        samples = chance.sample(range(200), chance.randrange(1, 60))
        size = chance.randrange(1, 12)
        questions.append({"what": "micro_batches", "samples": samples, "residues": residues, "batch_size": size})
        expected.append(cut(samples, residues, size))
    assert ask(questions) == expected


def test_windows_times_and_hashes():
    chance = random.Random(3)
    questions = []
    for _ in range(2000):
        interval, num_frames = chance.choice([1, 1, 3, 40]), chance.randrange(1, 60)
        frames = [chance.randrange((num_frames - 1) * interval + 1, 10001) for _ in range(chance.randrange(1, 4))]
        questions.append({
            "what": "window", "seed": chance.getrandbits(64), "epoch": chance.choice([chance.randrange(10000), MASK]),
            "sample": chance.getrandbits(31), "residues": chance.randrange(1, 1200), "frames": frames,
            "num_frames": num_frames, "crop": chance.choice([0, 1, 256]), "frame_interval": interval,
            "omit_last": chance.random() < 0.3,
        })  # fmt: skip
    assert ask(questions) == [window(question) for question in questions]


def test_noise_is_box_muller_to_a_few_units_in_the_last_place():
    chance = random.Random(4)
    questions, words = [], []
    for _ in range(1500):
        question = {
            "what": "noise", "seed": chance.getrandbits(64), "epoch": chance.randrange(10000),
            "sample": chance.getrandbits(31), "frame": chance.randrange(1 << 24), "residue": chance.randrange(1 << 20),
            "channels": 24,
        }  # fmt: skip
        questions.append(question)
        for group in range(6):
            last = question["residue"] << 12 | group
            counter = (question["epoch"], question["sample"], NOISE << 24 | question["frame"], last)
            words.append(philox(counter, keyed(question["seed"])))
    words = np.array(words, dtype=np.uint32).reshape(-1, 2, 2)
    # The two uniforms are float32 (core/data/normal_kernel.h); what follows is exact to float32's last place.
    uniform = words[..., 0].astype(np.float32) * np.float32(2.0**-32) + np.float32(2.0**-33)
    angle = np.float32(2 * np.pi) * ((words[..., 1] >> 8).astype(np.float32) * np.float32(2.0**-24))
    radius = np.sqrt(-2 * np.log(uniform.astype(np.float64)))
    angle = angle.astype(np.float64)
    expected = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1).ravel()
    got = np.array(ask(questions)).ravel()
    assert np.array_equal(got, got.astype(np.float32))
    ulps = np.abs(got - expected) / np.spacing(np.abs(expected).astype(np.float32))
    assert ulps.max() < 3
    # Without the rounding of the uniforms the values are these to 1e-4: no bias of their size.
    exact = np.sqrt(-2 * np.log((words[..., 0] + 0.5) * 2.0**-32))
    assert np.abs(exact - radius).max() < 1e-4


def test_simplex_has_dirichlet_moments_and_marginals():
    for alpha, kind in ((1.0, 3), (4.7, 0), (0.3, 19)):
        concentration = np.ones(20)
        concentration[kind] = alpha
        asked = [
            {"what": "simplex", "seed": 11, "epoch": 5, "sample": i // 1000, "residue": i % 1000}
            | {"type": kind, "alpha": alpha}
            for i in range(8000)
        ]
        points = np.array(ask(asked))
        assert np.allclose(points.sum(axis=1), 1, atol=1e-6)
        exact = scipy.stats.dirichlet(concentration)
        error = np.sqrt(exact.var() / len(points))
        assert np.all(np.abs(points.mean(axis=0) - exact.mean()) < 5 * error)
        assert np.allclose(points.var(axis=0), exact.var(), rtol=0.15)
        for channel in {0, 3, 19}:
            a = concentration[channel]
            marginal = scipy.stats.beta(a, concentration.sum() - a)
            assert scipy.stats.kstest(points[:, channel], marginal.cdf).pvalue > 1e-4
