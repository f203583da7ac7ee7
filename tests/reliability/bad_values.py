"""Values that an argument must not have, by the kind of the argument.

A kind maps names of bad values to makers, called with a good value of the argument and a directory
to write in. `EXPECTED` says which exception is documented for a kind.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from fastmlp import layers, models
from fastmlp.errors import DataError

Makers = dict[str, Callable[[Any, Path], Any]]


class Stranger:
    """An object of no kind that anything knows."""

    def __repr__(self) -> str:
        return "<a stranger>"


def _values(**values: Any) -> Makers:
    return {name: lambda good, tmp, value=value: value for name, value in values.items()}


STRANGE = _values(
    text="nonsense", empty_text="", data=b"3", nothing=None, complex=1j, list=[1, 2], no_list=[],
    mapping={}, set={3}, array=np.array([1, 2]), two_axes=np.ones((2, 2)), stranger=Stranger(),
    type=dict, function=len, nan=float("nan"), ellipsis=...,
)  # fmt: skip
_NOT_A_NUMBER = _values(
    true=True, nan=np.nan, inf=np.inf, minus_inf=-np.inf, numpy_nan=np.float32("nan"),
    decimal_nan=decimal.Decimal("nan"), enormous=10**400,
)  # fmt: skip
_NOT_AN_INTEGER = _values(
    half=0.5, float=2.0, numpy_float=np.float64(2), true=True, inf=np.inf, minus_inf=-np.inf,
    date=np.datetime64("2024-05-31"), very_negative=-(10**30),
)  # fmt: skip


def _spoilt(value: Any, row: int = 1) -> Callable[[Any, Path], Any]:
    """Put a value into an array."""

    def make(good: Any, tmp: Path) -> Any:
        array = np.array(good, np.float64)
        array[row] = value
        return array

    return make


# What no array of numbers may be.
_NO_NUMBERS: Makers = {
    "NaN": _spoilt(np.nan),
    "inf": _spoilt(np.inf),
    "minus inf": _spoilt(-np.inf),
    "NaN in the last row": _spoilt(np.nan, -1),
    "NaN in float16": lambda good, tmp: _spoilt(np.nan)(good, tmp).astype(np.float16),
    "NaN byte-swapped": lambda good, tmp: _spoilt(np.nan)(good, tmp).astype(">f4"),
    "no rows": lambda good, tmp: np.asarray(good)[:0],
    "no axis": lambda good, tmp: np.float64(3),
    "a number": lambda good, tmp: 3.5,
    "three axes": lambda good, tmp: np.asarray(good).reshape(len(good), -1, 1),
    "four axes": lambda good, tmp: np.zeros((1, 1, 1, 1)),
    "complex": lambda good, tmp: np.asarray(good) + 1j,
    "objects": lambda good, tmp: np.full(np.shape(good), Stranger()),
    "nothings": lambda good, tmp: np.full(np.shape(good), None),
    "floats as objects": lambda good, tmp: np.asarray(good).astype(object),
    "enormous integers": lambda good, tmp: np.full(np.shape(good), 10**400),
    "texts": lambda good, tmp: np.full(np.shape(good), "nonsense"),
    "numbers as text": lambda good, tmp: np.full(np.shape(good), "1.5"),
    "bytes": lambda good, tmp: np.full(np.shape(good), b"1"),
    "dates": lambda good, tmp: np.full(np.shape(good), np.datetime64("2024-05-31")),
    "spans of time": lambda good, tmp: np.full(np.shape(good), np.timedelta64(3, "D")),
    "records": lambda good, tmp: np.zeros(len(good), [("a", "f4"), ("b", "f4")]),
    "ragged": lambda good, tmp: [[1.0], [1.0, 2.0]],
    "nested nothing": lambda good, tmp: [[None] * 3] * len(good),
    "masked": lambda good, tmp: np.ma.masked_less(np.asarray(good, np.float64), 1e9),
    "sparse": lambda good, tmp: sparse.csr_matrix(np.atleast_2d(np.asarray(good))),
    "generator": lambda good, tmp: (row for row in good),
    "iterator": lambda good, tmp: iter(good),
    **{k: STRANGE[k] for k in ("text", "data", "mapping", "set", "stranger", "type", "function",
                               "ellipsis", "no_list", "complex")},
    "nothing": STRANGE["nothing"],
}  # fmt: skip

# The same numbers in another form: to be taken, with the same result.
SAME: Makers = {
    "column-major": lambda good, tmp: np.asfortranarray(good),
    "read-only": lambda good, tmp: _read_only(np.array(good)),
    "byte-swapped": lambda good, tmp: np.asarray(good).astype(">f8"),
    "byte-swapped float32": lambda good, tmp: np.asarray(good).astype(">f4"),
    "every second column": lambda good, tmp: np.repeat(good, 2, axis=-1)[..., ::2],
    "every second row": lambda good, tmp: np.repeat(good, 2, axis=0)[::2],
    "backwards": lambda good, tmp: np.array(np.asarray(good)[::-1])[::-1],
    "unaligned": lambda good, tmp: _unaligned(np.asarray(good)),
    "float64": lambda good, tmp: np.asarray(good, np.float64),
    "float16": lambda good, tmp: np.asarray(good, np.float16),
    "long double": lambda good, tmp: np.asarray(good, np.longdouble),
    "lists": lambda good, tmp: np.asarray(good).tolist(),
    "tuples": lambda good, tmp: tuple(map(tuple, np.asarray(good).reshape(len(good), -1))),
    "mapped from a file": lambda good, tmp: _mapped(np.asarray(good), tmp),
}


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _unaligned(array: np.ndarray) -> np.ndarray:
    data = np.zeros(array.nbytes + 1, np.uint8)[1:].view()
    result = np.frombuffer(data.data, array.dtype).reshape(array.shape)
    result[...] = array
    assert not result.flags.aligned
    return result


def _mapped(array: np.ndarray, tmp: Path) -> np.ndarray:
    np.save(tmp / "mapped.npy", array)
    return np.load(tmp / "mapped.npy", mmap_mode="r")


# ---- files and models --------------------------------------------------------------------------


def _garbage(content: bytes) -> Callable[[Any, Path], Any]:
    def make(good: Any, tmp: Path) -> Any:
        path = tmp / f"garbage{Path(str(good)).suffix}"
        path.write_bytes(content)
        return path

    return make


_NO_PATH: Makers = {
    **{k: STRANGE[k] for k in ("nothing", "complex", "list", "no_list", "mapping", "set", "array",
                               "stranger", "type", "function", "nan", "ellipsis", "empty_text")},
    "a number": lambda good, tmp: 3,
    "a number with a decimal": lambda good, tmp: 2.5,
    "true": lambda good, tmp: True,
    "bytes": lambda good, tmp: bytes(good),
    "zero byte": lambda good, tmp: f"a\0b{Path(good).suffix}",
    "much too long": lambda good, tmp: "x" * 5000 + Path(good).suffix,
    "a directory": lambda good, tmp: _directory(good, tmp),
    "in no directory": lambda good, tmp: tmp / "missing" / Path(good).name,
    "below a file": lambda good, tmp: _file(tmp) / Path(good).name,
    "a loop of links": lambda good, tmp: _loop(good, tmp) / "x.fmlp",
}  # fmt: skip


def _directory(good: Any, tmp: Path) -> Path:
    path = tmp / f"directory{Path(good).suffix}"
    path.mkdir(exist_ok=True)
    return path


def _file(tmp: Path) -> Path:
    path = tmp / "file"
    path.write_text("a file")
    return path


def _loop(good: Any, tmp: Path) -> Path:
    path = tmp / f"loop{Path(good).suffix}"
    path.unlink(missing_ok=True)
    path.symlink_to(path)
    return path


_NO_MODELS: Makers = {
    **{k: v for k, v in STRANGE.items() if k not in ("list", "set", "nan")},
    "a number": lambda good, tmp: 3,
    "the class": lambda good, tmp: models.Sequential,
    "a layer": lambda good, tmp: layers.Dense(3),
}


def _without(makers: Makers, *names: str) -> Makers:
    return {name: make for name, make in makers.items() if name not in names}


def _with(makers: Makers, **values: Any) -> Makers:
    return {**makers, **_values(**values)}


_INTEGERS = {**STRANGE, **_NOT_AN_INTEGER}
_NUMBERS = {**STRANGE, **_NOT_A_NUMBER}

KINDS: dict[str, Makers] = {
    "positive integer": _with(_INTEGERS, zero=0, minus_one=-1, numpy_zero=np.int64(0)),
    "integer of at least 0": _with(_INTEGERS, minus_one=-1),
    "integer of at least 2": _with(_INTEGERS, minus_one=-1, zero=0, one=1),
    "number above 0": _with(_NUMBERS, zero=0, minus_one=-1.0),
    "number of at least 0": _with(_NUMBERS, minus_one=-1.0, minus_tiny=-1e-300),
    "number": _NUMBERS,
    "number in [0, 1)": _with(_NUMBERS, one=1, two=2.0, minus_one=-1),
    "number in (0, 1)": _with(_NUMBERS, zero=0, one=1, two=2.0, minus_one=-1),
    "monitor": _with(_without(STRANGE, "text"), number=3, true=True),
    "flag": _with(STRANGE, two=2, minus_one=-1, half=0.5),
    "name": _with(STRANGE, number=3, half=0.5, true=True, names=["nonsense"], list_of_lists=[[]]),
    "verbose": _with(STRANGE, three=3, minus_one=-1, half=0.5),
    "label": _with(_without(STRANGE, "text"), number=3, two_lines="a\nb", bell="\a"),
    "x": {
        **_NO_NUMBERS,
        "no columns": lambda good, tmp: np.asarray(good)[:, :0],
        "one column too many": lambda good, tmp: np.hstack([good, good[:, :1]]),
        "one column too few": lambda good, tmp: np.asarray(good)[:, 1:],
        "one axis": lambda good, tmp: np.asarray(good)[0],
        "huge": lambda good, tmp: np.asarray(good, np.float64) + 1e300,
    },
    "y": {
        **_NO_NUMBERS,
        "too many columns": lambda good, tmp: np.ones((len(good), 7)),
        "no columns": lambda good, tmp: np.ones((len(good), 0)),
        "one row too few": lambda good, tmp: np.asarray(good)[1:],
        "one row too many": lambda good, tmp: np.append(good, good[:1], axis=0),
        "huge": lambda good, tmp: np.asarray(good, np.float64) + 1e300,
    },
    "weights of rows": {
        **_without(_NO_NUMBERS, "nothing"),
        "negative": _spoilt(-1),
        "one row too few": lambda good, tmp: np.asarray(good)[1:],
        "one row too many": lambda good, tmp: np.append(good, 1.0),
        "two columns": lambda good, tmp: np.ones((len(good), 2)),
        "huge": _spoilt(1e300),
    },
    "file to write": _NO_PATH,
    "file to read": {
        **_NO_PATH,
        "missing": lambda good, tmp: tmp / f"missing{Path(good).suffix}",
        "empty": _garbage(b""),
        "text": _garbage(b"not a model"),
        "zeros": _garbage(bytes(1000)),
        "ones": _garbage(b"\xff" * 1000),
        "cut": lambda good, tmp: _garbage(Path(good).read_bytes()[:-7])(good, tmp),
        "beginning only": lambda good, tmp: _garbage(Path(good).read_bytes()[:20])(good, tmp),
    },
    "model": _NO_MODELS,
    "anything": STRANGE,
}

# The one type that each kind's error is of, or a subclass of it.
EXPECTED: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "x": DataError,
    "y": DataError,
    "weights of rows": DataError,
    # What is no path is a ValueError, what the file system refuses its own OSError.
    "file to write": (ValueError, OSError),
    "file to read": ValueError,
    "store to read": (ValueError, OSError),
}


# ---- arguments that hold several values ----------------------------------------------------------

_NO_SEQUENCE = _without(STRANGE, "no_list", "list", "array", "set", "two_axes")

KINDS |= {
    "shape of a row": _with(
        _without(STRANGE, "nothing"), no_width=(), zero=0, zero_width=(0,), minus_one=(-1,),
        half=(0.5,), unknown=(None,), two=(2, 3), text_width=("3",), huge=(1 << 40,), true=True,
    ),
    "widths": _with(
        _without(STRANGE, "list", "array", "no_list"), zero="0", zero_width=[0], minus_one=[-1],
        minus_text="-3", half=[0.5], text_width=["a"], half_text="64x", power="1e3", nested=[[3]],
        many_digits="9" * 30, huge=[1 << 40], enormous=[10**30], true=[True], gap="3,,3",
        number=3.5, bool=True, nothings=[None], many="1x3000", many_list=[1] * 3000, letter="٣",
    ),
    "penalties": _with(
        _without(_NUMBERS, "list", "array", "no_list"), minus_one=-1.0, of_nan=[0.1, np.nan],
        of_minus=[0.1, -1.0], too_many=[0.1] * 7, none_at_all=[], of_text=["0.1", "0.1"],
        of_nothing=[None, None], of_true=[True, True],
    ),
    "callbacks": _with(
        _without(STRANGE, "nothing", "no_list"), number=3, numbers=[3], names=["EarlyStopping"],
        nothings=[None], nested=[[]], true=True,
    ),
    "callable": _with(_without(STRANGE, "type", "function"), number=3, half=0.5, true=True),
    "x and y": {
        **_without(STRANGE, "nothing"),
        "a number": lambda good, tmp: 3,
        "x alone": lambda good, tmp: (good[0],),
        "four": lambda good, tmp: (*good, None, None),
        "nothings": lambda good, tmp: (None, None),
        "x and nothing": lambda good, tmp: (good[0], None),
        "nothing and y": lambda good, tmp: (None, good[1]),
        "fewer of y": lambda good, tmp: (good[0], good[1][1:]),
        "fewer columns": lambda good, tmp: (good[0][:, 1:], good[1]),
        "no rows": lambda good, tmp: (good[0][:0], good[1][:0]),
        "NaN in x": lambda good, tmp: (_spoilt(np.nan)(good[0], tmp), good[1]),
        "inf in y": lambda good, tmp: (good[0], _spoilt(np.inf)(good[1], tmp)),
        "as mapping": lambda good, tmp: {"x": good[0], "y": good[1]},
        "as lists of text": lambda good, tmp: (["a"], ["b"]),
    },
    "weights of classes": _with(
        _without(STRANGE, "mapping", "nothing"), number=3, of_text={0: "a"}, of_nan={0: np.nan},
        of_minus={0: -1.0}, of_inf={1: np.inf}, of_nothing={0: None}, by_text={"a": 1.0},
        by_nothing={None: 1.0}, of_lists={0: [1.0, 2.0]}, of_complex={0: 1j},
    ),
    "epochs to validate": _with(
        _without(_INTEGERS, "list", "no_list", "set"), zero=0, of_zero=[0], of_text=["a"],
        of_half=[0.5], of_minus=[-1], of_nothing=[None],
    ),
    "lambdas": _with(
        _without(STRANGE, "nothing", "list", "array"), of_zero=[0.0], of_minus=[-1.0, 1.0],
        of_nan=[np.nan, 1.0], of_inf=[np.inf], of_text=["a"], twice=[0.1, 0.1], of_nothing=[None],
        ragged=[[0.1], [0.1, 0.2]], of_complex=[1j], enormous=[10**400],
    ),
    "arrays of weights": {
        **_without(STRANGE),
        "a number": lambda good, tmp: 3,
        "one too few": lambda good, tmp: good[1:],
        "one too many": lambda good, tmp: [*good, good[0]],
        "transposed": lambda good, tmp: [array.T for array in good],
        "NaN": lambda good, tmp: [_spoilt(np.nan, 0)(array, tmp) for array in good],
        "inf": lambda good, tmp: [_spoilt(np.inf, 0)(array, tmp) for array in good],
        "huge": lambda good, tmp: [array.astype(np.float64) + 1e300 for array in good],
        "NaN in the last": lambda good, tmp: [*good[:-1], _spoilt(np.nan, 0)(good[-1], tmp)],
        "objects": lambda good, tmp: [array.astype(object) for array in good],
        "texts": lambda good, tmp: [array.astype(str) for array in good],
        "complex": lambda good, tmp: [array + 0j for array in good],
        "nothings": lambda good, tmp: [None] * len(good),
        "empty": lambda good, tmp: [array[:0] for array in good],
        "numbers": lambda good, tmp: [1.0] * len(good),
        "ragged": lambda good, tmp: [[[1.0], [1.0, 2.0]]] * len(good),
    },
    "a table's x": {
        **_without(
            _NO_NUMBERS, "texts", "numbers as text", "dates", "records", "floats as objects",
            "complex", "sparse", "bytes", "spans of time", "objects", "masked",
        ),
        "no columns": lambda good, tmp: np.asarray(good)[:, :0],
        "huge": lambda good, tmp: np.asarray(good, np.float64) * 1e300,
        "complex numbers": _NO_NUMBERS["complex"],
        "sparse matrix": _NO_NUMBERS["sparse"],
        "strangers": _NO_NUMBERS["objects"],
        "one row": lambda good, tmp: np.asarray(good)[:1],
        "a name twice": lambda good, tmp: np.ones(len(good), [("a", "f4"), ("a ", "f4")])[:, None],
    },
    "a table's y": {
        **_without(
            _NO_NUMBERS, "texts", "numbers as text", "floats as objects", "masked", "sparse",
            "text", "enormous integers", "bytes",
        ),
        "the name of no column": STRANGE["text"],
        "two columns": lambda good, tmp: np.ones((len(good), 2)),
        "one row too few": lambda good, tmp: np.asarray(good)[1:],
        "constant": lambda good, tmp: np.ones(len(good)),
        "huge": lambda good, tmp: np.arange(len(good)) * 1e307,
    },
    "folds": _with(
        _without(_INTEGERS, "two_axes", "nothing"), zero=0, one=1, too_many=1000, nan_fold=np.nan,
        of_text=["a"] * 8, of_half=np.full(8, 0.5), one_fold=np.zeros(8, int), short=np.arange(3),
        wide=np.zeros((8, 2), int),
    ),
    "names of columns": _with(
        _without(STRANGE, "no_list", "empty_text", "mapping"), number=3, no_column=["nonsense"],
        of_nothing=[None],
    ),
    "levels": _with(
        _without(STRANGE), minus=-0.1, two=2.0, of_two=[0.1, 2.0], of_nan=[0.5, np.nan],
        of_text=["a"], nested=[[0.5]], ragged=[[0.5], [0.5, 0.6]], enormous=10**400,
    ),
    "seeds": _with(
        _without(STRANGE, "nothing", "list", "array", "set"), number=3, twice=[1, 1],
        of_minus=[-1], of_text=["a"], of_half=[0.5], of_nothing=[None], true=[True],
    ),
    "rate": _with(_NUMBERS, minus_one=-1.0, minus_tiny=-1e-300),
}  # fmt: skip

EXPECTED |= {
    "arrays of weights": DataError,
    "x and y": DataError,
    "weights of classes": DataError,
    "a table's x": DataError,
    "table": DataError,
    "a table's y": DataError,
}

KINDS |= {
    "address": _with(_without(STRANGE, "text", "empty_text"), number=3),
    "name or function": _without(KINDS["name"], "function"),
    "store to read": KINDS["file to read"],
    "table": {
        **{k: v for k, v in KINDS["a table's x"].items() if k in (
            "no rows", "no axis", "a number", "three axes", "four axes", "ragged", "sparse matrix",
            "generator", "iterator", "text", "data", "mapping", "set", "stranger", "type",
            "function", "ellipsis", "no_list", "complex", "nothing", "no columns", "a name twice")},
    },
    "shape of an array": _with(
        STRANGE, zero=(0,), minus_one=(-1, 2), half=(0.5,), text_width=("3",), unknown=(None, 3),
        three_axes=(2, 2, 2), no_axes=(), number=3, true=(True,),
    ),
    "steps": _with(
        _without(STRANGE, "no_list"), number=3, of_half=[0.5], of_minus=[-1], of_text=["a"],
        falling=[3, 2], twice=[3, 3], of_nothing=[None], too_many=[1, 2, 3],
    ),
    "rates": _with(
        STRANGE, number=0.1, of_nan=[np.nan, 0.1], of_minus=[-1.0, 0.1], of_text=["a", "b"],
        of_nothing=[None, None], too_many=[0.1] * 3, of_inf=[np.inf, 0.1],
    ),
    "frequency": _with(_INTEGERS, zero=0, minus_one=-1),
    "period": _with(
        _NUMBERS, zero=0, minus_one=-1.0, no_epochs="0 epochs", half_epochs="0.5 epochs",
        minus_epochs="-3 epochs", words="epochs 3",
    ),
    "separator": _with(_without(STRANGE, "nothing"), two=",,", new_line="\n", number=3, quote='"'),
    "path": _without(
        _NO_PATH, "zero byte", "much too long", "a directory", "in no directory", "below a file",
        "a loop of links", "empty_text", "bytes",
    ),
    "layers": {
        **_without(STRANGE, "no_list", "mapping", "empty_text"),
        "a number": lambda good, tmp: 3,
        "nothings": lambda good, tmp: [None],
        "names": lambda good, tmp: ["Dense"],
        "classes": lambda good, tmp: [layers.Dense],
        "one layer twice": lambda good, tmp: [layers.Dense(3, name="a")] * 2,
        "one name twice": lambda good, tmp: [layers.Dense(3, name="a"), layers.Dense(3, name="a")],
        "widths that do not fit": lambda good, tmp: [
            layers.Dense(3, input_dim=2), layers.Dense(3, input_dim=2)
        ],
        "input at the end": lambda good, tmp: [layers.Dense(3), layers.Input((3,))],
    },
    "metrics": _with(
        _without(STRANGE, "no_list", "type", "function", "mapping", "empty_text"), number=3,
        of_numbers=[3], of_text=["nonsense"], of_nothing=[None], twice=["mse", "mse"],
        nested=[[["mse"]]], empty_name=[""],
    ),
    "custom objects": _with(_without(STRANGE, "mapping"), number=3),
    "names": _with(
        _without(STRANGE, "list", "no_list", "set"), number=3, of_numbers=[3, 4],
        of_nothing=[None], unknown=["nonsense"],
    ),
    "content": _with(
        STRANGE, number=3, zeros=bytes(100), text_of_bytes=b"not a model", empty_bytes=b"",
    ),
    "features": _with(
        _without(STRANGE, "list", "array"), minus_one=-1, too_large=3, half=0.5, of_text=["a"],
        three=[0, 1, 2], twice=[0, 0], of_nothing=[None], enormous=10**400, two_axes=[[0]],
    ),
    "features of columns": _with(
        _without(STRANGE), number=3, too_few=["a"], of_numbers=[0, 1, 2], of_nothing=[None] * 3,
    ),
    "grid": _with(
        _without(STRANGE, "list", "array"), zero=0, one=1, minus_one=-1, of_nan=[np.nan],
        of_text=["a"], ragged=[[0.5], [0.5, 0.6]], two_axes=[[0.5]], of_nothing=[None],
    ),
}  # fmt: skip

# scikit-learn checks what estimators are given, and says in its own words what is wrong. It takes
# objects and text that are numbers.
KINDS |= {
    "X of scikit-learn": _without(
        KINDS["x"], "floats as objects", "numbers as text", "bytes", "sparse", "huge", "masked",
        "one column too many", "one column too few", "enormous integers", "dates",
        "spans of time",
    ),
    "y of scikit-learn": _without(
        KINDS["y"], "floats as objects", "numbers as text", "bytes", "huge", "masked",
        "too many columns", "sparse", "three axes", "enormous integers", "dates",
        "spans of time",
    ),
}  # fmt: skip
EXPECTED |= {kind: (ValueError, TypeError) for kind in KINDS if kind.endswith("of scikit-learn")}

# What a metric is given may be NaN, and its value is then NaN.
_NAN = ("NaN", "inf", "minus inf", "NaN in the last row", "NaN in float16", "NaN byte-swapped")
KINDS |= {
    "numbers": {
        **_without(KINDS["y"], *_NAN, "huge", "three axes", "no axis", "a number"),
        "three axes": lambda good, tmp: np.ones((len(good), 2, 2)),
    },
    "weights as numbers": _without(KINDS["weights of rows"], *_NAN, "huge", "negative"),
}  # fmt: skip
KINDS["class indices"] = {
    **_without(KINDS["numbers"], "too many columns", "no columns"),
    "NaN": _spoilt(np.nan),
    "inf": _spoilt(np.inf),
    "negative": _spoilt(-1),
    "too large": _spoilt(2),
}
