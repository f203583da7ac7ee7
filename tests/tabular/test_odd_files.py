"""Models of odd files: the same rows give the same weights, and models keep how they read."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import lzma

import numpy as np
import pytest

import fastmlp
from fastmlp import datasets

N = 24
AREAS = [f"{40 + 7 * (i % 11) + i / 8:.3f}" for i in range(N)]
COUNTS = [str(900 + 137 * i) for i in range(N)]
ZONES = [("Süd", "Nord", "Österreich")[i % 3] for i in range(N)]
DAYS = [dt.date(2023, 12, 20) + dt.timedelta(9 * i) for i in range(N)]
PRICES = [f"{(i * 7919) % 97 + i / 4:.2f}" for i in range(N)]
NAMES = ["fläche", "anzahl", "zone", "tag", "preis"]


def comma(text):
    return text.replace(".", ",")


def grouped(text, mark):
    return f"{int(text):,}".replace(",", mark)


def text(d=",", *, names=NAMES, area=str, count=str, zone=str, day=str, price=str, end="\n"):
    """Write the table; each column by a function of its plain cells."""
    rows = zip(map(area, AREAS), map(count, COUNTS), map(zone, ZONES), map(day, DAYS),
               map(price, PRICES), strict=True)  # fmt: skip
    return end.join(d.join(row) for row in [names, *rows]) + end


def european(**more):
    return text(";", **{"area": comma, "price": comma, **more})


def lines(make):
    return "\n".join(map(make, text().splitlines())) + "\n"


def quoted(cell):
    return f'"{cell}"'


ODD = {
    "semicolons": text(";"),
    "tabs": text("\t"),
    "pipes": text("|"),
    "Markdown": "\n".join(
        ["| " + " | ".join(NAMES) + " |", "|---" * 5 + "|"]
        + [f"| {line.replace(',', ' | ')} |" for line in text().splitlines()[1:]]
    ),
    "spaces": text(" "),
    "aligned": lines(lambda line: "".join(f"{cell:>14}" for cell in line.split(","))),
    "quoted": text(names=list(map(quoted, NAMES)), area=quoted, count=quoted, zone=quoted,
                   day=lambda d: quoted(str(d)), price=quoted),
    "space after commas": text(", "),
    "European": european(),
    "European CP1252": european().encode("cp1252"),
    "European UTF-16": european().encode("utf-16"),
    "UTF-16 without mark": text().encode("utf-16-le"),
    "BOM": b"\xef\xbb\xbf" + text().encode(),
    "two BOMs": b"\xef\xbb\xbf" * 2 + text().encode(),
    "CR": text(end="\r"),
    "CRLF": text(end="\r\n"),
    "mixed line ends": text().replace("\n", "\r\n", 9),
    "end mark of DOS": text() + "\x1a",
    "points between thousands": european(count=lambda c: grouped(c, ".")),
    "commas between thousands": text(count=lambda c: quoted(grouped(c, ","))),
    "apostrophes": european(count=lambda c: grouped(c, "\u2019")),
    "narrow spaces": european(count=lambda c: grouped(c, "\u202f")),
    "euros": european(price=lambda p: comma(p) + " €"),
    "euros in CP1252": european(price=lambda p: comma(p) + " €").encode("cp1252"),
    "EUR before": text(price=lambda p: "EUR " + p),
    "dollars": text(price=lambda p: "$" + p),
    "percent": european(area=lambda a: comma(a) + " %"),
    "plus signs": text(area=lambda a: "+" + a),
    "exponents": text(area=lambda a: f"{a}e0"),
    "DD.MM.YYYY": european(day=lambda d: f"{d:%d.%m.%Y}"),
    "DD/MM/YYYY": text(day=lambda d: f"{d:%d/%m/%Y}"),
    "MM/DD/YYYY": text(day=lambda d: f"{d:%m/%d/%Y}"),
    "DD.MM.YY": text(day=lambda d: f"{d:%d.%m.%y}"),
    "YYYY/MM/DD": text(day=lambda d: f"{d:%Y/%m/%d}"),
    "06 Jan 2024": text(day=lambda d: f"{d:%d %b %Y}"),
    "01-Jan-2024": text(day=lambda d: f"{d:%d-%b-%Y}"),
    "midnight": text(day=lambda d: f"{d}T00:00:00.000000000Z"),
    "AM": text(day=lambda d: f"{d:%m/%d/%Y} 12:00 AM"),
    "comments": "# from a, b and c\n# 2024\n" + text(),
    "title": "Flats of 2024\n\n" + text(),
    "sep=": "sep=;\n" + european(),
    "blank lines": text().replace("\n", "\n\n"),
    "empty last column": text().replace("\n", ",\n"),
    "index of pandas": "\n".join(
        f"{'' if i == 0 else i - 1},{line}" for i, line in enumerate(text().splitlines())
    ),
    "gzip": gzip.compress(text().encode()),
    "bzip2": bz2.compress(european().encode("cp1252")),
    "xz": lzma.compress(text("\t").encode()),
}  # fmt: skip


def weights(path):
    model = fastmlp.fit(
        path, "preis", units=[4], epochs=2, seed=1, validation_split=0.25, batch_size=8, verbose=0
    )
    return model.network.get_weights(), model


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "t.csv"
    path.write_text(text(), encoding="utf-8")
    return weights(path)


QUICK = {"European CP1252", "UTF-16 without mark", "apostrophes", "dollars", "DD/MM/YYYY", "title",
         "index of pandas", "xz"}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(content, id=name, marks=() if name in QUICK else pytest.mark.slow)
        for name, content in ODD.items()
    ],
)
def test_the_same_rows_give_the_same_weights(tmp_path, plain, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found, _ = weights(path)
    for one, other in zip(found, plain[0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_reads_later_files_alike(tmp_path, plain):
    path, later = tmp_path / "t.csv", tmp_path / "later.csv"
    content = european(day=lambda d: f"{d:%d/%m/%Y}", zone=lambda z: {"Nord": "?"}.get(z, z))
    path.write_bytes(content.encode("cp1252"))
    model = fastmlp.fit(path, "preis", dates="dmy", missing=["?"], encoding="cp1252", units=[4],
                        epochs=2, seed=1, batch_size=8, verbose=0)  # fmt: skip
    model.save(tmp_path / "m.fmlp")
    model = fastmlp.TableModel.load(tmp_path / "m.fmlp")
    kept = datasets.ReadingOptions.from_dict(model.network.extras["reading"])
    assert (kept.dates, kept.missing, kept.settled["decimal"]) == ("dmy", ("?",), ",")
    rows = content.splitlines()
    one = [i for i in range(1, N + 1) if DAYS[i - 1].day <= 12][:3]
    later.write_text("\n".join([rows[0], *(rows[i] for i in one)]), encoding="utf-8")
    expected = model.predict(datasets.read_table(path, like=kept))[[i - 1 for i in one]]
    np.testing.assert_allclose(model.predict(later), expected, rtol=1e-6)
