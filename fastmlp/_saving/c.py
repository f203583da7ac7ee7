"""Write a model as one C file: C99, no allocation, only the mathematics library."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from .._utils import arguments
from .._utils.version import __version__
from ..preprocessing import DATE_PARTS, DAYS_OF_YEAR, FAR, LARGEST_LOG, MARCH_1, Column, Target
from .parts import Encoding, Grouped, MeanOfNetworks, StackedNetworks, taken_apart

if TYPE_CHECKING:
    from .._model.model import Model
    from ..preprocessing import Preprocessing

_PER_LINE = 8
_ENCODING_ARRAYS = "first", "lower", "inverse"

# f(z) of one number; {f} ends the name of a function of that type, {c} a constant.
_ACTIVATIONS = {
    "relu": "z > 0 ? z : 0",
    "leaky_relu": "z > 0 ? z : 0.2{c} * z",
    "elu": "z > 0 ? z : expm1{f}(z)",
    "gelu": "0.5{c} * z * (1 + erf{f}(z * 0.70710678118654752{c}))",
    "silu": "z / (1 + exp{f}(-z))",
    "tanh": "tanh{f}(z)",
    "sigmoid": "1 / (1 + exp{f}(-z))",
    "softplus": "(z > 0 ? z : 0) + log1p{f}(exp{f}(-fabs{f}(z)))",
}

_DENSE = """\
/* y = x @ w + b; w holds a row of n_out weights for each of the n_in inputs. Rows are added to y
   four at a time, in order{skipped}. */
static void dense(const {real} *x, int n_in, const {real} *w, const {real} *b, int n_out,
                  {real} *restrict y)
{{
    const {real} *row[4];
    {real} a[4];
    int i, k, n = 0;
    for (i = 0; i < n_out; i++) {{
        y[i] = 0;
    }}
    for (k = 0; k < n_in; k++, w += n_out) {{
{skip}        a[n] = x[k];
        row[n++] = w;
        if (n == 4) {{
            const {real} *r0 = row[0], *r1 = row[1], *r2 = row[2], *r3 = row[3];
            const {real} a0 = a[0], a1 = a[1], a2 = a[2], a3 = a[3];
            for (i = 0; i < n_out; i++) {{
                y[i] = y[i] + a0 * r0[i] + a1 * r1[i] + a2 * r2[i] + a3 * r3[i];
            }}
            n = 0;
        }}
    }}
    for (k = 0; k < n; k++) {{
        for (i = 0; i < n_out; i++) {{
            y[i] += a[k] * row[k][i];
        }}
    }}
    if (b) {{
        for (i = 0; i < n_out; i++) {{
            y[i] += b[i];
        }}
    }}
}}
"""
_SKIP_ZERO = """\
        if (x[k] == 0) {
            continue;
        }
"""

_ENCODED_DENSE = """\
/* The encoding of the inputs: number k of x is encoded by rows first[k] to first[k + 1]: as itself,
   then for each of its bins as the share of it, from 0 to 1, that the number has passed. This finds
   the row of the bin that holds the number, and its share of that bin. */
static void find_bins(const {real} *x, int n_in, const int *first, const {real} *lower,
                      const {real} *inverse, int *bin, {real} *share)
{{
    int k;
    for (k = 0; k < n_in; k++) {{
        int low = first[k], high = first[k + 1];
        while (high - low > 1) {{
            const int middle = low + (high - low) / 2;
            if (lower[middle] <= x[k]) {{
                low = middle;
            }} else {{
                high = middle;
            }}
        }}
        bin[k] = low;
        share[k] = (x[k] - lower[low]) * inverse[low];
        share[k] = share[k] < 1 ? share[k] : 1;
    }}
}}

/* A first layer of encoded inputs. A bin's row of sums has the weights of the bin and of all bins
   below it, so that two rows serve for all bins. */
static void encoded_dense(const {real} *x, int n_in, const int *first, const int *bin,
                          const {real} *share, const {real} *sums, const {real} *b, int n_out,
                          {real} *y)
{{
    int i, k;
    for (i = 0; i < n_out; i++) {{
        y[i] = b ? b[i] : 0;
    }}
    for (k = 0; k < n_in; k++) {{
        const {real} *row = sums + first[k] * n_out;
        for (i = 0; i < n_out; i++) {{
            y[i] += x[k] * row[i];
        }}
        if (bin[k] > first[k]) {{
            row = sums + bin[k] * n_out;
            for (i = 0; i < n_out; i++) {{
                y[i] += share[k] * row[i];
            }}
            if (bin[k] > first[k] + 1) {{
                row -= n_out;
                for (i = 0; i < n_out; i++) {{
                    y[i] += (1 - share[k]) * row[i];
                }}
            }}
        }}
    }}
}}
"""

_ELEMENTWISE = """\
static void apply_{name}({real} *y, int n)
{{
    int i;
    for (i = 0; i < n; i++) {{
        const {real} z = y[i];
        y[i] = {formula};
    }}
}}
"""

_SOFTMAX = """\
static void apply_softmax({real} *y, int n)
{{
    {real} largest = y[0], sum = 0;
    int i;
    for (i = 1; i < n; i++) {{
        largest = y[i] > largest ? y[i] : largest;
    }}
    for (i = 0; i < n; i++) {{
        y[i] = exp{f}(y[i] - largest);
        sum += y[i];
    }}
    for (i = 0; i < n; i++) {{
        y[i] /= sum;
    }}
}}
"""

_PREPARE = """\
/* A column: how many inputs its categories have (0: it is a number), the lowest code that it takes
   (-1: no category), whether it is 0 or 1, whether a missing value is filled in, whether one more
   input says that it was missing, which parts of a date follow (1: year, 2: month, 4: weekday,
   8: hour), what is subtracted and divided by, where outliers are drawn in (0: nowhere), and what
   is filled in. */
struct column {{
    int categories, lowest, boolean, filled, indicator, parts;
    double mean, scale, clip, fill;
}};

{table}
{dates}/* Columns to the network's inputs; returns 0, or the place of an unusable column, from 1. */
static int prepare(const double *columns, {real} *x)
{{
    int i, k;
    for (i = 0; i < {n_columns}; i++) {{
        const struct column *c = &column_table[i];
        const int missing = isnan(columns[i]) ? 1 : 0;
        const double value = missing ? c->fill : columns[i];
        const int lowest = missing ? -1 : c->lowest;
        if ((missing && !c->filled) || isinf(columns[i])
            || (c->boolean && value != 0 && value != 1)) {{
            return i + 1;
        }}
        if (c->categories) {{
            if (!(value >= lowest && value < c->categories) || value != floor(value)) {{
                return i + 1;
            }}
            for (k = 0; k < c->categories; k++) {{
                *x++ = k == (int)value ? 1 : 0;
            }}
        }} else {{
            double z = (value - c->mean) / c->scale;
            if (c->clip > 0) {{
                double share;
                z = z > {far} ? {far} : z < -{far} ? -{far} : z;
                share = z / c->clip;
                z = z / sqrt(1 + share * share);
            }}
            *x = ({real})z;
            if (!isfinite(*x)) {{
                return i + 1;
            }}
            x++;
{call_dates}        }}
        if (c->indicator) {{
            *x++ = ({real})missing;
        }}
    }}
    return 0;
}}
"""

_DATES = """\
/* Sine and cosine of the parts of a date, which is in days since 1970-01-01. Years begin in March
   here, so that the leap day comes last. Returns the place after the last one. */
static {real} *date_parts(double days, int parts, {real} *x)
{{
    const double whole = floor(days), since = whole + 719468;
    const double of_era = since - floor(since / 146097) * 146097;
    const double leap_days = floor(of_era / 1460) - floor(of_era / 36524) + floor(of_era / 146096);
    const double year = floor((of_era - leap_days) / 365);
    const double of_year = of_era - (365 * year + floor(year / 4) - floor(year / 100));
    double turns[4];
    int i;
    turns[0] = (of_year + {march}) / {year};
    turns[1] = (floor((5 * of_year + 2) / 153) + 2) / 12;
    turns[2] = (whole + 3) / 7;
    turns[3] = days - whole;
    for (i = 0; i < 4; i++) {{
        if (parts & (1 << i)) {{
            const double angle = 6.283185307179586 * (turns[i] - floor(turns[i]));
            *x++ = ({real})sin(angle);
            *x++ = ({real})cos(angle);
        }}
    }}
    return x;
}}

"""
_CALL_DATES = """\
            x = c->parts ? date_parts(value, c->parts, x) : x;
"""


def identifier(name: str) -> str:
    """Return a name if it is a valid prefix of C names.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,30}", name):
        raise ValueError(
            "name must be a C identifier: at most 31 letters, digits and _, a letter first. "
            f"Received: name={arguments.shown(name)}"
        )
    return name


def _comment(text: str) -> str:
    """Return text that is safe in a C comment: it cannot end it or continue its line."""
    plain = text.encode("ascii", "backslashreplace").decode()
    plain = re.sub(r"[^ -~]", " ", plain)
    return plain.replace("\\", "|").replace("*", "x").replace("/", "|").replace("??", "? ?")


def _numbers(values: np.ndarray, single: bool) -> Iterator[str]:
    """Yield lines of constants that represent the numbers exactly."""
    texts = [_constant(value, single) for value in values.ravel().tolist()]
    for start in range(0, len(texts), _PER_LINE):
        yield "    " + ", ".join(texts[start : start + _PER_LINE]) + ","


def _constant(value: float, single: bool) -> str:
    if not math.isfinite(value):
        return "NAN" if math.isnan(value) else "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}" if single else repr(value)
    if text.lstrip("-").isdigit():
        text += ".0"
    return text + "f" if single else text


def _array(name: str, values: np.ndarray, real: str) -> str:
    lines = "\n".join(_numbers(values, real == "float"))
    return f"static const {real} {name}[{values.size}] = {{\n{lines}\n}};\n"


def _sums(weights: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Return rows of weights, each bin's with those of the bins below it."""
    sums = weights.astype(np.float64)
    for start, stop in itertools.pairwise(first):
        rows = sums[:, start + 1 : stop]
        np.cumsum(rows, axis=1, out=rows)
    return sums.astype(weights.dtype)


def _encoding(encoding: Encoding, suffix: str, real: str) -> Iterator[str]:
    """Write the constants of a piecewise-linear encoding."""
    first, lower, inverse = (f"{name}{suffix}" for name in _ENCODING_ARRAYS)
    rows = encoding[0]
    lines = [", ".join(map(str, rows[i : i + _PER_LINE])) for i in range(0, len(rows), _PER_LINE)]
    body = "".join(f"    {line},\n" for line in lines)
    yield f"static const int {first}[{len(rows)}] = {{\n{body}}};\n"
    yield _array(lower, encoding[1], real)
    yield _array(inverse, encoding[2], real)


def _weights(mean: MeanOfNetworks, real: str) -> Iterator[str]:
    """Write the weights and biases, of all networks of an architecture in one array."""
    for stack, tag in zip(mean.stacks, _tags(mean), strict=True):
        for i, part in enumerate(stack.layers):
            weights = part.weights
            if stack.encoding is not None and i == 0:
                weights = _sums(part.weights, mean.encodings[stack.encoding][0])
            yield _array(f"w{tag}{i}", weights, real)
            if part.bias is not None:
                yield _array(f"b{tag}{i}", part.bias, real)


def _tags(mean: MeanOfNetworks) -> list[str]:
    """Return what distinguishes the names of the architectures' weights."""
    n = len(mean.stacks)
    return [f"{place}_" for place in range(n)] if n > 1 else [""]


def _suffixes(mean: MeanOfNetworks) -> list[str]:
    """Return what distinguishes the names of the encodings' arrays."""
    n = len(mean.encodings)
    return [str(place) for place in range(n)] if n > 1 else [""] * n


def _functions(stacks: list[StackedNetworks], real: str) -> Iterator[str]:
    """Write what the layers call."""
    f = "f" if real == "float" else ""
    if any(stack.encoding is not None for stack in stacks):
        yield _ENCODED_DENSE.format(real=real)
    products = [part for stack in stacks for part in stack.layers[stack.encoding is not None :]]
    if products:
        # Zero times a weight that is not finite is NaN.
        finite = all(np.isfinite(part.weights).all() for part in products)
        yield _DENSE.format(
            real=real,
            skipped=", those of inputs that are 0 left out" if finite else "",
            skip=_SKIP_ZERO if finite else "",
        )
    used = {part.activation for stack in stacks for part in stack.layers}
    for name in sorted(used - {"linear"}):
        if name == "softmax":
            yield _SOFTMAX.format(real=real, f=f)
        else:
            formula = _ACTIVATIONS[name].format(f=f, c=f)
            yield _ELEMENTWISE.format(name=name, real=real, formula=formula)


def _scratch(stack: StackedNetworks) -> tuple[int, int]:
    """Return the length and the number of the buffers for hidden layers."""
    layers = stack.layers
    widest = max((part.weights.shape[-1] for part in layers[:-1]), default=0)
    return widest, min(2, len(layers) - 1)


def _stack_bytes(mean: MeanOfNetworks) -> int:
    """Count the bytes of the buffers of the networks."""
    real = mean.dtype.itemsize
    size = max(math.prod(_scratch(stack)) for stack in mean.stacks) * real
    if mean.encodings:
        size += mean.n_inputs * (4 + real)
    if len(mean) > 1:  # one network's outputs, and their sum in double
        size += mean.n_outputs * (real + 8)
    return size


def _buffers(stack: StackedNetworks) -> list[str]:
    """Return the declarations of the buffers for hidden layers."""
    hidden, count = _scratch(stack)
    return [f"{name}[{hidden}]" for name in "ab"[:count]]


def _calls(mean: MeanOfNetworks, place: int, member: str = "") -> Iterator[str]:
    """Write the calls of the layers of an architecture, from inputs x to outputs y.

    `member` is the C variable that numbers the networks; a single one needs none.
    """
    stack, tag, source = mean.stacks[place], _tags(mean)[place], "x"
    for i, part in enumerate(stack.layers):
        n_in, units = part.weights.shape[1:]
        target = "y" if i == len(stack.layers) - 1 else "ab"[i % 2]
        weights, bias = f"w{tag}{i}", "0" if part.bias is None else f"b{tag}{i}"
        if member:
            weights += f" + {member} * {n_in * units}"
            bias += "" if part.bias is None else f" + {member} * {units}"
        rest = f"{weights}, {bias}, {units}, {target});"
        if stack.encoding is not None and i == 0:
            first = f"first{_suffixes(mean)[stack.encoding]}"
            yield f"encoded_dense(x, {mean.n_inputs}, {first}, bin, share, {rest}"
        else:
            yield f"dense({source}, {n_in}, {rest}"
        if part.activation != "linear":
            yield f"apply_{part.activation}({target}, {units});"
        source = target


def _add_networks(mean: MeanOfNetworks, place: int, real: str) -> str:
    """Write the function that adds the outputs of all networks of an architecture."""
    stack, n_outputs = mean.stacks[place], mean.n_outputs
    encoded = f"const int *bin, const {real} *share, " if stack.encoding is not None else ""
    widths = [mean.n_inputs, *(part.weights.shape[-1] for part in stack.layers)]
    what = f"{_counted(len(stack), 'network')} of {'-'.join(map(str, widths))} units"
    lines = [
        f"/* Adds the outputs of {what} to sum. */",
        f"static void add_networks{place}(const {real} *x, {encoded}double *sum)",
        "{",
        f"    {real} {', '.join([*_buffers(stack), f'y[{n_outputs}]'])};",
        "    int i, m;",
        f"    for (m = 0; m < {len(stack)}; m++) {{",
        *(f"        {line}" for line in _calls(mean, place, "m")),
        f"        for (i = 0; i < {n_outputs}; i++) {{",
        "            sum[i] += y[i];",
        "        }",
        "    }",
        "}",
        "",
    ]
    return "\n".join(lines)


def _body(mean: MeanOfNetworks, real: str) -> Iterator[str]:
    """Write what computes outputs y from inputs x, which may not overlap."""
    several, n_outputs = len(mean) > 1, mean.n_outputs
    if mean.encodings:
        yield f"int bin[{mean.n_inputs}];"
        yield f"{real} share[{mean.n_inputs}];"
    if several:
        yield f"double sum[{n_outputs}] = {{0}};"
        yield "int i;"
    elif buffers := _buffers(mean.stacks[0]):
        yield f"{real} {', '.join(buffers)};"
    suffixes = _suffixes(mean)
    for encoding in (None, *range(len(suffixes))):
        if encoding is not None:
            first, lower, inverse = (f"{n}{suffixes[encoding]}" for n in _ENCODING_ARRAYS)
            yield f"find_bins(x, {mean.n_inputs}, {first}, {lower}, {inverse}, bin, share);"
        for place, stack in enumerate(mean.stacks):
            if stack.encoding != encoding:
                continue
            if several:
                bins = "" if encoding is None else "bin, share, "
                yield f"add_networks{place}(x, {bins}sum);"
            else:
                yield from _calls(mean, place)
    if several:
        yield f"for (i = 0; i < {n_outputs}; i++) {{"
        yield f"    y[i] = ({real})(sum[i] / {len(mean)});"
        yield "}"


def _networks(mean: MeanOfNetworks, signature: str, real: str) -> Iterator[str]:
    """Write the networks' constants and functions; the last one has that signature."""
    for encoding, suffix in zip(mean.encodings, _suffixes(mean), strict=True):
        yield from _encoding(encoding, suffix, real)
    yield from _weights(mean, real)
    yield from _functions(mean.stacks, real)
    if len(mean) > 1:
        for place in range(len(mean.stacks)):
            yield _add_networks(mean, place, real)
    yield "\n".join([signature, "{", *(f"    {line}" for line in _body(mean, real)), "}", ""])


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' if n != 1 else ''}"


def _column_row(column: Column) -> str:
    fill: float = 0.0
    if column.fill == "":
        fill = -1
    elif column.fill is not None:
        is_text = isinstance(column.fill, str)
        fill = column.categories.index(str(column.fill)) if is_text else float(column.fill)
    settings = column.mean, column.scale, column.clip, fill
    numbers = ", ".join(_constant(float(v), False) for v in settings)
    parts = sum(1 << DATE_PARTS.index(part) for part in column.date_parts)
    lowest = -1 if column.unknown == "ignore" and not column.other else 0
    flags = lowest, column.kind == "boolean", column.fill is not None, column.indicator, parts
    n_inputs = len(column.categories) + column.other
    return f"{{{n_inputs}, {', '.join(str(int(f)) for f in flags)}, {numbers}}}"


def _column_table(columns: list[Column]) -> str:
    rows = "\n".join(f"    {_column_row(column)}," for column in columns)
    return f"static const struct column column_table[{len(columns)}] = {{\n{rows}\n}};\n"


def _prepare(state: Preprocessing, table: str, real: str, dated: bool) -> str:
    """Write the function that turns columns into inputs."""
    march, year = (_constant(float(v), False) for v in (MARCH_1, DAYS_OF_YEAR))
    return _PREPARE.format(
        real=real,
        table=table,
        n_columns=len(state.columns),
        far=_constant(FAR, False),
        dates=_DATES.format(real=real, march=march, year=year) if dated else "",
        call_dates=_CALL_DATES if dated else "",
    )


def _column_notes(columns: list[Column]) -> Iterator[str]:
    for i, column in enumerate(columns):
        kind = {
            "numeric": "a number",
            "boolean": "1 for true, 0 for false",
            "date": "days since 1970-01-01",
            "categorical": "the code of a category",
        }[column.kind]
        missing = "" if column.fill is None else "; NAN if it is missing"
        yield f"  [{i}] {_comment(column.name)}: {kind}{missing}"
        for code, category in enumerate(column.categories):
            yield f"      {code} = {_comment(category)}"
        if column.other:
            yield f"      {len(column.categories)} = any other category"
        elif column.unknown == "ignore" and column.kind == "categorical":
            yield "      -1 = any other category"


def _output_notes(state: Preprocessing, name: str) -> Iterator[str]:
    target = _comment(state.target.name)
    if state.task == "regression":
        for place, one in enumerate(state.all_targets):
            yield (
                f"  [{place}] {_comment(one.name)}, in its own units; {name}_predict_double gives "
                "it in double"
            )
        return
    for i, label in enumerate(state.target.labels):
        yield f"  [{i}] the probability that {target} is {_comment(str(label))}"


_OUTPUTS = {
    "two": """\
    network(x, y + 1);
    y[0] = 1 - y[1];
""",
    "many": """\
    network(x, y);
""",
}


_REGRESSION = """\
{functions}int {name}_predict_double(const double *columns, double *y)
{{
    {real} x[{n_inputs}], z[{n_targets}];
    const int unusable = prepare(columns, x);
    if (unusable) {{
{nothing}
        return unusable;
    }}
    network(x, z);
{results}
    return 0;
}}

int {name}_predict(const double *columns, {real} *y)
{{
    double values[{n_targets}];
    const int unusable = {name}_predict_double(columns, values);
{copies}
    return unusable;
}}
"""

_BETWEEN_KNOTS = """\
/* The number whose score is t, between knots on straight lines. */
static double between_knots(double t, const double *scores, const double *knots, int n)
{
    int i;
    if (isnan(t) || t <= scores[0]) {
        return isnan(t) ? t : knots[0];
    }
    for (i = 1; i < n; i++) {
        if (t <= scores[i]) {
            const double slope = (knots[i] - knots[i - 1]) / (scores[i] - scores[i - 1]);
            return knots[i - 1] + slope * (t - scores[i - 1]);
        }
    }
    return knots[n - 1];
}

"""

_CLASSIFICATION = """\
int {name}_predict(const double *columns, {real} *y)
{{
    {real} x[{n_inputs}];
    const int unusable = prepare(columns, x);
    if (unusable) {{
        int i;
        for (i = 0; i < {n_labels}; i++) {{
            y[i] = NAN;
        }}
        return unusable;
    }}
{outputs}    return 0;
}}
"""


def _target_functions(targets: list[Target]) -> Iterator[str]:
    """Yield what the targets' transforms need."""
    of_quantiles = [i for i, target in enumerate(targets) if target.transform == "quantile"]
    if of_quantiles:
        yield _BETWEEN_KNOTS
    for i in of_quantiles:
        for kind in ("scores", "knots"):
            numbers = np.array(getattr(targets[i], kind))
            yield _array(f"{kind}{i}", numbers, "double") + "\n"


def _target_result(target: Target, i: int) -> str:
    """Write how an output becomes the target in its units, as in `Target.restored`."""
    mean, scale = (_constant(float(v), False) for v in (target.mean, target.scale))
    lines = [f"    y[{i}] = (double)z[{i}] * {scale} + {mean};"]
    if target.transform == "log":
        most = _constant(LARGEST_LOG, False)
        shift = f" - {_constant(target.shift, False)}" if target.shift else ""
        lines.append(f"    y[{i}] = exp(y[{i}] > {most} ? {most} : y[{i}]){shift};")
    elif target.transform == "sqrt":
        lines.append(f"    y[{i}] = y[{i}] < 0 ? 0 : y[{i}] * y[{i}];")
    elif target.transform == "quantile":
        lines.append(
            f"    y[{i}] = between_knots(y[{i}], scores{i}, knots{i}, {len(target.knots)});"
        )
    return "\n".join(lines)


def _entry(name: str, state: Preprocessing, real: str) -> str:
    """Write the functions that take a table's columns."""
    if state.task == "regression":
        targets = state.all_targets
        places = range(len(targets))
        return _REGRESSION.format(
            functions="".join(_target_functions(targets)),
            name=name,
            real=real,
            n_inputs=state.n_inputs,
            n_targets=len(targets),
            nothing="\n".join(f"        y[{i}] = NAN;" for i in places),
            results="\n".join(_target_result(target, i) for i, target in enumerate(targets)),
            copies="\n".join(f"    y[{i}] = ({real})values[{i}];" for i in places),
        )
    outputs = _OUTPUTS["two" if state.n_outputs == 1 else "many"]
    return _CLASSIFICATION.format(
        name=name,
        real=real,
        n_inputs=state.n_inputs,
        n_labels=len(state.target.labels),
        outputs=outputs,
    )


def to_c(model: Model | Grouped, name: str = "model") -> bytes:
    """Write a model or an ensemble as a C file that computes what `predict` does.

    The file is C99, allocates nothing, keeps its weights in constant arrays, and needs
    ``math.h`` alone. Without preprocessing it defines
    ``void NAME_predict(const float *x, float *y)``; with, it takes the columns of a table as
    numbers, ``int NAME_predict(const double *columns, float *y)``, which returns 0 or the place,
    counted from 1, of a column that is missing, out of range or not finite; y is NAN then. For
    regression ``int NAME_predict_double(const double *columns, double *y)`` returns the target in
    double, which keeps apart numbers far from 0 that are equal as float. A category is passed as
    its code (for one that training did not see -1 or that of "any other category", where the model
    takes them), a date as days since 1970-01-01; the file's first comment lists them. For a model
    of dtype float64, double replaces float. Members of an ensemble that have the same architecture
    are computed by one loop.

    Parameters
    ----------
    model : Model or Ensemble
    name : str
        Prefix of the names that the file exports.

    Returns
    -------
    bytes
        ASCII text.

    Raises
    ------
    ValueError
        If the name is not a C identifier.
    """
    upper = identifier(name).upper()
    mean = taken_apart(model)
    state = mean.preprocessing
    real = "float" if mean.dtype == np.float32 else "double"
    n_inputs, n_outputs = mean.n_inputs, mean.n_outputs
    if state is None:
        declared = f"void {name}_predict(const {real} *x, {real} *y);"
        notes = [
            f"{name}_predict: {_counted(n_inputs, 'input')} x, {_counted(n_outputs, 'output')} y."
        ]
    else:
        n_inputs = len(state.columns)
        n_outputs = len(state.target.labels) or len(state.all_targets)
        declared = f"int {name}_predict(const double *columns, {real} *y);"
        if state.task == "regression":
            declared += f"\nint {name}_predict_double(const double *columns, double *y);"
        notes = [
            f"{name}_predict returns 0, or the place from 1 of a column it cannot use, and NAN",
            "in y then. Columns:",
            *_column_notes(state.columns),
            "Outputs y:",
            *_output_notes(state, name),
        ]
    constants = sum(stack.size for stack in mean.stacks) * mean.dtype.itemsize
    constants += sum(array.nbytes for encoding in mean.encodings for array in encoding)
    buffers = _stack_bytes(mean)
    if state is not None:
        more = state.n_inputs + (len(state.all_targets) if state.task == "regression" else 0)
        buffers += more * mean.dtype.itemsize
    what = "A multilayer perceptron"
    if len(mean) > 1:
        what = f"The mean of {len(mean)} multilayer perceptrons"
    head = [
        f"/* {what}, written by fastmlp {__version__}. C99; link with -lm.",
        f"   Constants: {constants} bytes. Buffers on the stack: {buffers} bytes.",
        *(f"   {note}" for note in notes),
        "*/",
    ]
    pieces = [
        "\n".join(head) + "\n",
        "#include <math.h>\n",
        f"#define {upper}_INPUTS {n_inputs}\n#define {upper}_OUTPUTS {n_outputs}\n",
        f"{declared}\n",
    ]
    function = "static void network" if state is not None else f"void {name}_predict"
    pieces += _networks(mean, f"{function}(const {real} *x, {real} *y)", real)
    if state is not None:
        table = _column_table(state.columns)
        dated = any(column.date_parts for column in state.columns)
        pieces.append(_prepare(state, table, real, dated))
        pieces.append(_entry(name, state, real))
    return "\n".join(pieces).encode("ascii")
