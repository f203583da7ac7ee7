"""The store of a sweep: one SQLite file with a row for every finished run.

The table `runs` holds what does not depend on the machine, and `costs` what does (seconds, host).
`sessions` has a row for each start of the sweep, and `about` identifies the sweep. Every change is
a transaction, so that a process may be killed at any moment.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .._saving.untrusted import BadFileError, loads
from .._utils import arguments, atomic
from ._schema import (
    APPLICATION,
    COLUMNS,
    COSTS,
    KEY,
    VERSION,
    EmptyStoreError,
    OtherSweepError,
    StoreError,
    differences,
    digest_of,
    kinds_of,
    score_columns,
)

_SYSTEM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
           sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM)  # fmt: skip
_LEAST = 32_768  # bytes of a store without runs
_BUSY_SECONDS = 30.0  # timeout while another process locks the file


class Store:
    """An open store, made by `created` or `opened`; a context manager that closes it.

    Parameters
    ----------
    name : str
        The file's name, for messages.
    connection : sqlite3.Connection

    Attributes
    ----------
    settings : dict
        The settings of its sweep.
    """

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        self.name, self._connection = name, connection
        self.settings: dict[str, Any] = {}
        self._session = 0
        self._lock: int | None = None
        self._unwritten: list[
            tuple[list[dict[str, Any]], list[dict[str, Any]]]
        ] = []  # not written yet

    # ---- open and close ----

    @classmethod
    def created(
        cls,
        path: str | os.PathLike[str] | None,
        settings: dict[str, Any],
        overwrite: bool = False,
    ) -> Store:
        """Open the store of a sweep for writing; create it if there is none.

        Parameters
        ----------
        path : str or path, or None
            None for a store in memory.
        settings : dict
            Plain JSON values.
        overwrite : bool
            Whether to replace a file that belongs to another sweep, or is not a store.

        Returns
        -------
        Store

        Raises
        ------
        StoreError
            If the file belongs to another sweep, is not a store, or is open for writing.
        OSError
            If it cannot be opened.
        """
        if path is None:
            store = cls("the store in memory", sqlite3.connect(":memory:", isolation_level=None))
        else:
            path = cls.check_place(path)
            store = cls(str(path), _connected(path, "rwc"))
        with store._closed_on_error():
            if path is not None:
                store._take_lock(Path(path))
        try:
            with store._closed_on_error():
                store._set_up(settings)
        except StoreError as error:
            nothing = isinstance(error, OtherSweepError) and error.n_runs == 0
            if path is None or not (overwrite or nothing):
                raise
            cls._replace(path, settings)
            return cls.created(path, settings)
        return store

    @classmethod
    def _replace(cls, path: str | os.PathLike[str], settings: dict[str, Any]) -> None:
        """Replace a file by a new store, atomically."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        with cls(str(path), connection) as new, new._closed_on_error():
            new._set_up(settings)
            content = connection.serialize()
        target = os.path.realpath(path)
        # They belong to the old content; SQLite must not apply them to the new one.
        for suffix in ("-journal", "-wal", "-shm"):
            Path(f"{target}{suffix}").unlink(missing_ok=True)
        atomic.write_atomically(target, content)

    @staticmethod
    def check_place(path: str | os.PathLike[str]) -> str:
        """Return the path of a store to write; raise OSError if it cannot be written."""
        path = arguments.path("store", path)
        if atomic.is_special(path):
            raise OSError(errno.EINVAL, "is not a regular file, as a store must be", path)
        atomic.check(path, _LEAST)
        return path

    @classmethod
    def opened(cls, path: str | os.PathLike[str]) -> Store:
        """Open an existing store for reading.

        Parameters
        ----------
        path : str or path

        Returns
        -------
        Store

        Raises
        ------
        StoreError
            If the file is not a store, or is damaged.
        OSError
            If it cannot be opened.
        """
        file = Path(arguments.path("path", path))
        if not file.exists():
            raise FileNotFoundError(errno.ENOENT, "no such file or directory", str(path))
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
        store = cls(str(path), _connected(path, "rw"))
        with store._closed_on_error():
            if not store._is_ours():
                raise EmptyStoreError(f"{path}: not a store of fastmlp sweep: it is empty")
            store.settings = store._about()
        return store

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()
        if self._lock is not None:  # last: closing a descriptor releases all of SQLite's locks
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        try:
            with self._errors():
                yield
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn SQLite's errors into errors that name the file."""
        try:
            yield
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise StoreError(f"{self.name}: another process is using the store") from error
            if code in _SYSTEM:
                raise OSError(
                    errno.EIO, f"cannot be read or written: {error}", self.name
                ) from error
            raise StoreError(f"{self.name}: damaged: {error}") from error
        except sqlite3.IntegrityError as error:
            raise StoreError(f"{self.name}: damaged: {error}") from error
        except UnicodeDecodeError as error:  # in SQLite's own message
            raise StoreError(f"{self.name}: damaged: invalid text") from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.name}: damaged, or not a store of fastmlp sweep: {error}"
            ) from (error)

    def _take_lock(self, path: Path) -> None:
        """Lock the file against other writers until it is closed."""
        try:
            import fcntl
        except ImportError:  # Windows: only SQLite's own locks
            return
        self._lock = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(f"{self.name}: another sweep is writing to this store") from None
        except OSError:  # file systems without such locks
            return

    def _is_ours(self) -> bool:
        """Return False if the file is empty; raise StoreError if it is not a store."""
        if self._value("SELECT count(*) FROM sqlite_schema") == 0:
            return False
        if self._value("PRAGMA application_id") != APPLICATION:
            raise StoreError(f"{self.name}: an SQLite file, but not a store of fastmlp sweep")
        version = self._value("PRAGMA user_version")
        if version != VERSION:
            raise StoreError(
                f"{self.name}: written by another version of fastmlp: the store has format "
                f"{version}, expected {VERSION}"
            )
        if (found := self._value("PRAGMA quick_check(1)")) != "ok":
            raise StoreError(f"{self.name}: damaged: {' '.join(str(found).split())}")
        self._require_all_pages()
        return True

    def _require_all_pages(self) -> None:
        """Raise StoreError if the end of the file is missing, which SQLite may not notice."""
        if Path(f"{self.name}-wal").exists():  # which may have the last pages
            return
        with Path(self.name).open("rb") as file:
            header = file.read(32)
            size = file.seek(0, os.SEEK_END)
        page = int.from_bytes(header[16:18], "big")
        expected = (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")
        if size < expected:
            raise StoreError(f"{self.name}: damaged: {size} of its {expected} bytes are left")

    def _value(self, query: str) -> Any:
        row = self._connection.execute(query).fetchone()
        return None if row is None else row[0]

    def _about(self) -> dict[str, Any]:
        about = dict(self._connection.execute("SELECT key, value FROM about").fetchall())
        try:
            settings = loads(about["settings"])
            if about["digest"] != digest_of(settings):
                raise ValueError("the digest does not match")
            measures = settings["measures"]
            if not measures or not all(m.isidentifier() for m in measures):
                raise ValueError("the measures have no names")
        except (
            BadFileError,
            KeyError,
            TypeError,
            ValueError,
            AttributeError,
            RecursionError,
        ) as error:
            raise StoreError(f"{self.name}: damaged settings: {error}") from error
        return dict(settings)

    def _set_up(self, settings: dict[str, Any]) -> None:
        if not self._is_ours():
            with self._transaction():
                self._make_tables(settings)
        self.settings = self._about()
        if self.settings != settings:
            found = list(differences(self.settings, settings))
            more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
            raise OtherSweepError(
                f"{self.name}: written by another sweep: {'; '.join(found[:4])}{more}",
                self._value("SELECT count(*) FROM runs"),
            )

    def _make_tables(self, settings: dict[str, Any]) -> None:
        run = self._connection.execute
        run(f"PRAGMA application_id = {APPLICATION}")
        run(f"PRAGMA user_version = {VERSION}")
        columns = {**COLUMNS, **dict.fromkeys(score_columns(settings), "REAL")}
        typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        run(f"CREATE TABLE runs ({typed}, UNIQUE ({', '.join(KEY)}))")
        run("CREATE TABLE costs (run INTEGER PRIMARY KEY REFERENCES runs, session INTEGER, "
            "seconds REAL, threads INTEGER, isa TEXT, host TEXT)")  # fmt: skip
        run("CREATE TABLE sessions (session INTEGER PRIMARY KEY, started TEXT, facts TEXT)")
        run("CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT)")
        about = {"settings": json.dumps(settings), "digest": digest_of(settings)}
        self._connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    # ---- rows ----

    @property
    def columns(self) -> list[str]:
        """The names of a run's columns."""
        return [*COLUMNS, *score_columns(self.settings)]

    def begin_session(self, facts: dict[str, Any]) -> None:
        """Record a start of the sweep, with its time."""
        from datetime import UTC, datetime

        with self._transaction():
            done = self._connection.execute(
                "INSERT INTO sessions (started, facts) VALUES (?, ?)",
                (datetime.now(UTC).isoformat(timespec="seconds"), json.dumps(facts)),
            )
            self._session = done.lastrowid or 0

    def sessions(self) -> list[dict[str, Any]]:
        """Return the recorded starts, oldest first."""
        with self._errors():
            found = self._connection.execute("SELECT started, facts FROM sessions").fetchall()
        try:
            made = [{"started": started, **loads(facts)} for started, facts in found]
            if not all(isinstance(session["runs"], int) for session in made):
                raise ValueError("a session has no number of runs")
            return made
        except (BadFileError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise StoreError(f"{self.name}: damaged sessions: {error}") from error

    def add(self, rows: Sequence[dict[str, Any]], costs: Sequence[dict[str, Any]]) -> None:
        """Write finished runs in one transaction; keep them for later if that fails.

        Parameters
        ----------
        rows, costs : sequence of dict
            By the names of `columns`, and of COSTS except the session.
        """
        self._unwritten.append((list(rows), list(costs)))
        self.write_pending()

    def write_pending(self) -> None:
        """Write the runs that are not in the file yet; warn if that fails."""
        try:
            while self._unwritten:
                self._write(*self._unwritten[0])
                del self._unwritten[0]
        except OSError as error:
            n_runs = sum(len(rows) for rows, _ in self._unwritten)
            warnings.warn(
                f"Store {self.name} {error.strerror or error}. The sweep continues; {n_runs} runs "
                "will be written with the next ones",
                RuntimeWarning,
                stacklevel=2,
            )

    def _write(self, rows: Sequence[dict[str, Any]], costs: Sequence[dict[str, Any]]) -> None:
        names, marks = self.columns, ", ".join("?" * len(self.columns))
        with self._transaction():
            self._connection.executemany(
                f"INSERT INTO runs ({', '.join(names)}) VALUES ({marks})",
                [tuple(row[name] for name in names) for row in rows],
            )
            self._connection.executemany(
                f"INSERT INTO costs ({', '.join(COSTS)}) VALUES (?, ?, ?, ?, ?, ?)",
                [tuple({**c, "session": self._session}[name] for name in COSTS) for c in costs],
            )

    def rows(self) -> list[dict[str, Any]]:
        """Return every finished run, in the order of the plan.

        Raises
        ------
        StoreError
            If a value does not have the type of its column.
        """
        names = self.columns
        with self._errors():
            query = f"SELECT {', '.join(names)} FROM runs ORDER BY run"
            found = self._connection.execute(query).fetchall()
        kinds = [kinds_of(name) for name in names]
        status = names.index("status")
        for row in found:
            for name, kind, value in zip(names, kinds, row, strict=True):
                missing = value is None and name != "message" and row[status] == "done"
                if missing or not isinstance(value, kind):
                    raise StoreError(f"{self.name}: damaged: run {row[0]} has {name} {value!r}")
        written = [dict(zip(names, row, strict=True)) for row in found]
        waiting = [row for rows, _ in self._unwritten for row in rows]
        return sorted([*written, *waiting], key=lambda row: row["run"]) if waiting else written

    def seconds(self) -> dict[int, float]:
        """Return the time that each run took, by its number."""
        with self._errors():
            found = self._connection.execute("SELECT run, seconds FROM costs").fetchall()
        if not all(isinstance(seconds, float) for _, seconds in found):
            raise StoreError(f"{self.name}: damaged: the time of a run is not a number")
        return dict(found) | {c["run"]: c["seconds"] for _, costs in self._unwritten for c in costs}


def _connected(path: str | os.PathLike[str], mode: str) -> sqlite3.Connection:
    address = f"{Path(path).absolute().as_uri()}?mode={mode}"
    try:
        return sqlite3.connect(address, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    except sqlite3.OperationalError as error:
        raise OSError(errno.EIO, f"cannot be opened: {error}", str(path)) from error
