"""Which rows a model has seen."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import sparse

from fastmlp.errors import ModelFileError
from fastmlp.tabular import RowDigest, _digest, row_hashes


def drawn(n=1000, p=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, p)).astype("f4"), rng.normal(size=n).astype("f4")


def test_hashes_depend_on_all_values_of_a_row():
    x, y = drawn()
    hashes = row_hashes(x, y)
    assert len(np.unique(hashes)) == 1000 and hashes.max() < 2**40
    np.testing.assert_array_equal(row_hashes(x[::-1], y[::-1]), hashes[::-1])
    np.testing.assert_array_equal(row_hashes(sparse.csr_matrix(x), y), hashes)
    for j in range(5):
        other = x.copy()
        other[:, j] = np.nextafter(other[:, j], np.float32(9))
        assert not (row_hashes(other, y) == hashes).any()
    assert not (row_hashes(x, y + 1) == hashes).any()
    assert not (row_hashes(x[:, ::-1], y) == hashes).any()
    zero = np.zeros((1, 5), "f4")
    assert row_hashes(-zero, [1]) == row_hashes(zero, [1])


def test_hashes_do_not_depend_on_the_chunks(monkeypatch):
    x, y = drawn()
    hashes = row_hashes(x, y)
    monkeypatch.setattr(_digest, "_CHUNK", 64)
    np.testing.assert_array_equal(row_hashes(x, y), hashes)


@pytest.mark.parametrize("most", [16_384, 500])
def test_rows_of_the_training_are_known(monkeypatch, most):
    monkeypatch.setattr(_digest, "_MOST_HASHES", most)
    x, y = drawn(4000)
    held = np.arange(0, 4000, 5)
    digest = RowDigest.of(x, y, held)
    digest = RowDigest.from_dict(json.loads(json.dumps(digest.to_dict())))
    hashes = row_hashes(x, y)
    rest = np.setdiff1d(np.arange(4000), held)
    new = row_hashes(*drawn(2000, seed=1))
    exact = most > 4000
    assert digest.seen(hashes[rest[::-1]]) == (3200, exact)
    assert digest.seen(hashes[held]) == (0, exact)
    assert digest.seen(new) == (0, exact)
    some, _ = digest.seen(np.r_[new, hashes[rest[:1000]]])
    assert abs(some - 1000) < (1 if exact else 200)
    np.testing.assert_array_equal(digest.held_out_rows(hashes), held)
    # In another order the held-out rows are recognised; of very many, a part of them.
    found = 3999 - digest.held_out_rows(hashes[::-1])
    assert set(found) <= set(held) and len(found) == min(most, 800)
    assert not len(digest.held_out_rows(new))


def test_rows_that_occur_in_both_parts():
    x, y = drawn(100)
    x[1], y[1] = x[0], y[0]
    digest = RowDigest.of(x, y, [1, 2])
    hashes = row_hashes(x, y)
    np.testing.assert_array_equal(digest.held_out_rows(hashes), [1, 2])
    np.testing.assert_array_equal(digest.held_out_rows(hashes[::-1]), [97])


def test_no_row_held_out():
    x, y = drawn(100)
    digest = RowDigest.of(x, y)
    assert digest.held_out.n_rows == 0 and digest.marks is None
    assert not len(digest.held_out_rows(row_hashes(x, y)))
    assert RowDigest.from_dict(digest.to_dict()).seen(row_hashes(x, y)) == (100, True)


def test_a_million_rows_take_little_room():
    hashes = np.random.default_rng(0).integers(0, 2**40, 1_000_000, np.uint64)
    state = RowDigest.of_hashes(hashes, np.arange(0, 1_000_000, 5)).to_dict()
    assert len(json.dumps(state)) < 450_000


def test_damaged_digests():
    x, y = drawn(20)
    state = RowDigest.of(x, y, [3, 4]).to_dict()
    train = state["train"]
    raw = RowDigest.from_dict(state).train
    swapped = type(raw)(raw.kept[::-1], raw.limit, raw.n_rows).to_dict()
    for change in (
        {"train": swapped},
        {"train": train | {"hashes": "AAAA"}},
        {"train": train | {"hashes": "?"}},
        {"train": train | {"limit": 2**41}},
        {"train": 5},
        {"order": -1},
        {"marks": "AAAA"},
        {"n_marks": 2**40},
        {"n_marks": 200},
    ):
        with pytest.raises(ModelFileError, match=r"m\.fmlp: damaged digest"):
            RowDigest.from_dict(state | change, "m.fmlp")
