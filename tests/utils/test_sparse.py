"""What is made of SciPy's sparse matrices before the kernels see them."""

import numpy as np
import pytest
from scipy import sparse

from fastmlp._utils.arrays import input_rows, inputs, targets
from fastmlp._utils.sparse import CsrRows
from fastmlp.errors import DataError

F4 = np.dtype("f4")


def table(n=20, k=30, density=0.1):
    rng = np.random.default_rng(0)
    return np.where(rng.random((n, k)) < density, rng.normal(size=(n, k)), 0).astype("f4")


def as_array(rows):
    return sparse.csr_array((rows.data, rows.indices, rows.indptr), shape=rows.shape).toarray()


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr"])
def test_every_format_gives_the_same_rows(form, kind):
    x = table()
    found = input_rows(getattr(sparse, f"{form}_{kind}")(x), 30, F4)
    assert isinstance(found, CsrRows)
    assert (found.data.dtype, found.indices.dtype, found.indptr.dtype) == (F4, "i4", "i8")
    assert (as_array(found) == x).all()
    assert found.nnz == np.count_nonzero(x) or form == "bsr"


@pytest.mark.parametrize("dtype", ["bool", "i1", "i8", "u2", "f4", "f8"])
def test_types_are_those_of_arrays(dtype):
    x = (table() > 0).astype(dtype)
    assert (as_array(input_rows(sparse.csr_array(x), 30, F4)) == inputs(x, 30, F4)).all()


def test_values_of_the_right_type_are_shared():
    matrix = sparse.csr_array(table())
    found = input_rows(matrix, 30, F4)
    assert np.shares_memory(found.data, matrix.data)
    assert np.shares_memory(found.indices, matrix.indices)
    assert input_rows(found, 30, F4) is found
    assert input_rows(found, 30, np.dtype("f8")).dtype == np.float64


def test_entries_out_of_order_or_twice_are_put_right_in_a_copy():
    data, indices = np.arange(1, 6, dtype="f4"), np.array([7, 2, 7, 9, 0])
    matrix = sparse.csr_array((data, indices, [0, 3, 3, 5]), shape=(3, 10))
    found = input_rows(matrix, 10, F4)
    assert found.indices.tolist() == [2, 7, 0, 9]
    assert found.data.tolist() == [2, 4, 5, 4]
    assert matrix.indices.tolist() == [7, 2, 7, 9, 0]
    matrix.has_canonical_format = matrix.has_sorted_indices = True  # not to be relied on
    assert input_rows(matrix, 10, F4).indices.tolist() == [2, 7, 0, 9]


def test_zeros_that_are_kept_and_wide_indices_are_fine():
    data, indices = np.array([0, 2, 0], "f4"), np.array([1, 3, 8], np.int64)
    matrix = sparse.csr_array((data, indices, np.array([0, 1, 3], np.int64)), shape=(2, 10))
    found = input_rows(matrix, 10, F4)
    assert found.nnz == 3
    assert as_array(found).tolist() == matrix.toarray().tolist()


@pytest.mark.parametrize(("k", "density"), [(4, 0.2), (30, 0.6)])
def test_few_columns_and_hardly_any_zeros_become_an_array(k, density):
    x = table(k=k, density=density)
    found = input_rows(sparse.csr_array(x), k, F4)
    assert isinstance(found, np.ndarray)
    assert (found == x).all()
    assert found.flags.c_contiguous


@pytest.mark.parametrize(
    "rows",
    [slice(3, 9), slice(0, 0), slice(15, 99), slice(None, None, 3), np.array([4, 4, 19, 0]),
     np.arange(20) % 3 == 0],
)  # fmt: skip
def test_rows_are_chosen_as_from_an_array(rows):
    x = table()
    found = input_rows(sparse.csr_array(x), 30, F4)[rows]
    values, indices, indptr = found.parts()
    assert (indptr[0], indptr[-1], len(found)) == (0, len(values), len(x[rows]))
    made = sparse.csr_array((values, indices, indptr), shape=found.shape)
    assert (made.toarray() == x[rows]).all()
    if len(found):
        again = found[1:][: len(found) - 1]
        assert again.nnz == np.count_nonzero(x[rows][1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.astype(complex), r"x must hold real numbers. Received: csr_array of dtype"),
        (lambda m: m[:, :29], r"x must have shape \(n, 30\), .* Received: shape \(20, 29\)"),
        (lambda m: m[:0], r"x must not be empty. Received: shape \(0, 30\)"),
        (lambda m: m * 1e39, r"x must fit into float32. Received: .* in row 2, column 24"),
        (lambda m: m * np.nan, r"x must be finite. Received: nan in row 2, column 24"),
    ],
)
def test_errors_are_those_of_arrays(change, message):
    x = table().astype("f8")
    x[:2] = 0
    x[2] = np.where(np.arange(30) == 24, 1, 0)
    matrix = change(sparse.csr_array(x))
    with pytest.raises(DataError, match=message):
        input_rows(matrix, 30, F4)


@pytest.mark.parametrize(
    ("name", "value"), [("indices", 30), ("indices", -1), ("indptr", 10_000), ("indptr", -1)]
)
def test_arrays_that_do_not_fit_together_are_refused(name, value):
    matrix = sparse.csr_array(table())
    getattr(matrix, name)[-2] = value
    with pytest.raises(DataError, match=r"x must be a valid sparse matrix. Received: "):
        input_rows(matrix, 30, F4)


def test_where_an_array_is_needed_the_message_says_so():
    matrix = sparse.csr_array(table())
    message = r"{} must be an array here, not sparse: pass {}.toarray\(\). Received: csr_array of "
    with pytest.raises(DataError, match=message.format("x", "x") + r"shape \(20, 30\)"):
        inputs(matrix, 30, F4)
    with pytest.raises(DataError, match=message.format("y", "y")):
        targets(matrix, 20, 30, "mean_squared_error", F4)
    with pytest.raises(DataError, match=r"pass x.toarray\(\). Received: CsrRows of shape"):
        np.asarray(input_rows(matrix, 30, F4))
