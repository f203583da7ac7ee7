"""What the columns of one table share: the reading options and what other columns show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from .dates import Days
from .numerals import Style, described, shown
from .options import ReadingOptions

# Compared with a cell's text in lower case.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "#n/a", "<na>"})
# ISO 3166-1, two letters each, and UK and EU, which are used as such.
_COUNTRIES = (
    "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCM"
    "CNCOCRCUCVCWCXCYCZDEDJDKDMDODZECEEEGEHERESETFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGY"
    "HKHMHNHRHTHUIDIEILIMINIOIQIRISITJEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMF"
    "MGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNONPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARE"
    "RORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZUAUGUKUMUSUY"
    "UZVAVCVEVGVIVNVUWFWSXKYEYTZAZMZWUKEU"
)
COUNTRIES = frozenset(_COUNTRIES[i : i + 2] for i in range(0, len(_COUNTRIES), 2))


class Context:
    """What the columns of one table share.

    Parameters
    ----------
    options : ReadingOptions, optional
    delimiter : str, optional
        Of a file of text.
    facts : sequence of str
        What was detected in the file, such as "semicolons".
    notes : sequence of str
        Further sentences on the file.
    """

    def __init__(
        self,
        options: ReadingOptions | None = None,
        delimiter: str = "",
        facts: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self.options = options or ReadingOptions()
        self.delimiter, self.facts, self.notes = delimiter, facts, notes
        self.left_out: list[str] = []
        # Weak, or each table would be a circle of references, and memory would wait for its end.
        self.columns: Mapping[str, Any] = WeakValueDictionary()

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for pickle, which cannot hold weak references."""
        return {**vars(self), "columns": dict(self.columns)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the state; the table holds the columns."""
        vars(self).update(state, columns=WeakValueDictionary(state["columns"]))

    def decimal(self, asking: Any = None) -> str | None:
        """Return the decimal separator that the other columns show, or an earlier table showed."""
        found = {
            cells.certain_decimal for cells in self.columns.values() if cells is not asking
        } - {None}
        if len(found) == 1:
            return str(found.pop())
        return None if found else self.options.settled.get("decimal")

    def order(self, asking: Any = None) -> str | None:
        """Return the order of day and month that the other columns show, or an earlier table."""
        found = {cells.certain_order for cells in self.columns.values() if cells is not asking}
        found -= {None}
        if len(found) == 1:
            return str(found.pop())
        return None if found else self.options.settled.get("dates")

    def is_missing(self, text: str, typed: bool = False) -> bool:
        """Return whether a cell's text stands for a missing value.

        `typed`: in a column of numbers, dates, or true and false.
        """
        text, given = text.strip().lower(), self.options.missing
        if given is None:
            return text in MISSING
        return not text or text in map(str.lower, given) or (typed and text in MISSING)

    def _settled(self) -> dict[str, Any]:
        """Return each column's way of writing, as far as it is known or can be found out."""
        return {name: cells.how for name, cells in self.columns.items()}

    def reading(self) -> ReadingOptions:
        """Return the options with the detected settings, for later tables of the same kind."""
        settled: dict[str, Any] = {}
        for how in self._settled().values():
            if isinstance(how, Style) and how.decimal and not how.plain:
                settled["decimal"] = how.decimal
            if isinstance(how, Style) and how.thousands:
                settled["thousands"] = how.thousands
            if isinstance(how, Days) and how.order:
                settled["dates"] = how.order
        if self.left_out:
            settled["left_out"] = self.left_out
        return replace(self.options, settled={**self.options.settled, **settled})

    def sentences(self, source: str) -> list[str]:
        """Return one sentence for each guess."""
        settled = self._settled()
        styles = {n: how for n, how in settled.items() if isinstance(how, Style) and not how.plain}
        facts = list(self.facts)
        if any(style.decimal == "," for style in styles.values()):
            facts.append("decimal commas")
        facts += described(styles)
        result = [f"{source}: {', '.join(facts)}."] if facts else []
        result += [f"{source}: {text}" for text in self.notes]
        for order, words in (("dmy", "day before month"), ("mdy", "month before day")):
            dates = {n: d for n, d in settled.items() if isinstance(d, Days) and d.order == order}
            if dates:
                proof = next(((n, d.shows) for n, d in dates.items() if d.shows is not None), None)
                shows = ""
                if proof is not None:
                    shows = f", as '{self.columns[proof[0]].distinct(proof[1])}' shows"
                result.append(f"{source}: {words} in {shown(list(dates))}{shows}.")
        short = [n for n, d in settled.items() if isinstance(d, Days) and d.short_years]
        if short:
            result.append(f"{source}: years of two digits in {shown(short)} are 1969 to 2068.")
        times = [n for n, d in settled.items() if isinstance(d, Days) and d.times]
        if times:
            result.append(f"{source}: times of day in {shown(times)} are read as hours.")
        kept = [n for n, cells in self.columns.items() if getattr(cells, "keeps_namibia", False)]
        if kept:
            result.append(
                f"{source}: 'NA' in {shown(kept)} is the country Namibia; --missing NA takes it "
                "as missing."
            )
        return result
