"""Read damaged files in a process of its own that watches what reading them does.

Called as ``hostile.py DIRECTORY WHAT START STOP``: the directory holds sound files, WHAT is how to
damage them: 'cut' at every STOP-th byte from START on, 'mutate' with the seeds START to STOP,
'fuzz' from the seed START for STOP seconds of the processor, or 'asis'. A file must become a model
or a ModelFileError, within twice its size and 64 MB of memory, and under an audit hook that notes
whatever imports, compiles, executes, opens or connects. Prints a JSON document.
"""

import contextlib
import difflib  # which errors use, for what was meant by a wrong name
import json
import os
import random
import resource
import struct
import sys
import time
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy.random  # which initializers with a seed use

from fastmlp import interchange, models
from fastmlp._saving import untrusted
from fastmlp.errors import ModelFileError

SPARE = 64 << 20
HARMLESS = ("object.__", "sys._getframe", "gc.", "array.__new__", "cpython.", "sys.unraisablehook")
NUMBERS = [
    0,
    1,
    2,
    7,
    8,
    255,
    256,
    4096,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
]
TOKENS = [b"null", b"[]", b"{}", b'""', b"1e999", b"-1", b"0", b"99999999999999999999", b'"exec"',
          b"true", b"1.5", b'{"a":[[[[]]]]}', b'"\\ud800"', b"NaN", b"[" * 3000]  # fmt: skip

assert difflib and numpy.random
seen = []


def watch(event, args):
    # How much memory is left is read from the system's own files.
    asks_the_system = event == "open" and str(args[0]).startswith(("/proc/", "/sys/fs/cgroup/"))
    if not event.startswith(HARMLESS) and not asks_the_system:
        seen.append(event)


# ---- damage --------------------------------------------------------------------------------------


def spoil(rng, data):
    """Change a few things in some bytes."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if not data:
            break
        kind, at = rng.randrange(8), rng.randrange(len(data))
        size = min(rng.choice([1, 2, 4, 8, 16, 64]), len(data) - at)
        if kind == 0:
            for _ in range(rng.randrange(1, 9)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        elif kind == 1:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del data[at:]
        elif kind == 3:
            del data[at : at + size]
        elif kind == 4:
            other = rng.randrange(len(data))
            data[at : at + size] = data[other : other + size]
        elif kind == 5:
            data[at:at] = data[at : at + size] * rng.choice([1, 1, 2, 50])
        elif kind == 6:
            width = rng.choice([1, 2, 4, 8])
            number = rng.choice([*NUMBERS, len(data), at]) % 256**width
            place = at // width * width if rng.randrange(2) else at
            data[place : place + width] = number.to_bytes(width, "little")
        else:
            token(rng, data)
    return bytes(data)


def token(rng, data):
    """Put something else where JSON has a value, or a name."""
    places = [i for i, byte in enumerate(data) if byte in b":,[{"]
    if places:
        start = rng.choice(places) + 1
        end = next((i for i in range(start, len(data)) if data[i] in b",]}:"), len(data))
        data[start:end] = rng.choice(TOKENS)


def spoil_header(rng, data):
    """Spoil a safetensors header, and give it its right length and checksum."""
    n = struct.unpack("<Q", data[:8])[0]
    header = spoil(rng, data[8 : 8 + n])
    return resealed(struct.pack("<Q", len(header)) + header + data[8 + n :])


def resealed(data):
    """Put the right checksum into a model file, or what readers look at first hides the rest."""
    try:
        metadata, arrays = untrusted.safetensors(data)
        right = untrusted.checksum(metadata["fastmlp"], arrays).encode()
        wrong = metadata["checksum"].encode()
    except (untrusted.BadFileError, AttributeError, KeyError, ValueError, TypeError):
        return data
    return data.replace(b'"checksum":"%s"' % wrong, b'"checksum":"%s"' % right, 1)


def spoil_member(rng, data):
    """Spoil a member of an archive, and give it its right checksum."""
    with zipfile.ZipFile(BytesIO(data)) as source:
        contents = {name: source.read(name) for name in source.namelist()}
    name = rng.choice(["config.json", "model.weights.h5"])
    contents[name] = spoil(rng, contents[name])
    made = BytesIO()
    with zipfile.ZipFile(made, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as file:
        for key, content in contents.items():
            file.writestr(key, content)
    return made.getvalue()


def mutated(rng, data):
    deeper = {b"PK": spoil_member}.get(data[:2])
    if deeper is None and data[8:9] == b"{":
        deeper = spoil_header
    if deeper is not None and rng.randrange(4):
        with contextlib.suppress(zipfile.BadZipFile, KeyError, EOFError, zlib.error, ValueError,
                                 RuntimeError):  # fmt: skip
            return deeper(rng, data)  # unless a mutant's members cannot be had, or are encrypted
    return spoil(rng, data)


def damaged(files, what, start, stop):
    """Yield names and content of files."""
    if what == "asis":
        yield from ((name, data) for name, data in files.items())  # which may be sent to
    elif what == "cut":
        for name, data in files.items():
            for length in range(start, len(data), stop):
                yield f"{name}[:{length}]", data[:length]
    elif what == "fuzz":
        yield from fuzzed(files, start, stop)
    else:
        names = sorted(files)
        for seed in range(start, stop):
            rng = random.Random(seed)
            name = names[seed % len(names)]
            yield f"{name} seed {seed}", mutated(rng, files[name])


def fuzzed(files, seed, seconds):
    """Yield mutants for so long; those that are read become parents, of mutants further off."""
    found = sorted(files.items())
    n_sound, rng = len(found), random.Random(seed)
    end = time.process_time() + seconds
    while time.process_time() < end:
        name, data = rng.choice(found)
        child = mutated(rng, data)
        seed += 1
        was_read = yield f"{name} mutant {seed}", child
        if was_read and len(child) < 20_000:
            if len(found) < n_sound + 200:
                found.append((name, child))
            else:
                found[rng.randrange(n_sound, len(found))] = (name, child)


# ---- reading -------------------------------------------------------------------------------------


def read(name, data):
    load = models.from_bytes if ".fmlp" in name else interchange.from_bytes
    return load(data)


def memory():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limited(load, allowed):
    """Call with so many more bytes of memory."""
    most = memory() + allowed
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    seen.clear()
    try:
        return load()
    finally:
        found = list(seen)
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        seen[:] = found


def outcome(name, data):
    """Return None for a model, else what kind of error reading the file was."""
    try:
        limited(lambda: read(name, data), SPARE + len(data))
    except ModelFileError:
        return "refused"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return None


def next_of(given, found):
    """Return the next file of a generator that may ask whether its last one was read."""
    try:
        return given.send(None if found == "" else found is None)
    except StopIteration:
        return None


def main():
    directory, what, start, stop = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:5])
    files = {path.name: path.read_bytes() for path in sorted(directory.iterdir())}
    # Whatever is imported after this is imported for a file's sake.
    largest_first = sorted(files, key=lambda name: -len(files[name]))
    wanted = set({Path(name).suffix: name for name in largest_first}.values())
    for name in wanted | {name for name in files if len(files[name]) < 1_000_000}:
        data = files[name]
        for part in (data, data[: len(data) // 2], b""):
            with contextlib.suppress(ModelFileError):
                read(name, part)
    sys.addaudithook(watch)
    report = {"models": 0, "refused": 0, "slowest": 0.0, "seconds": 0.0, "wrong": []}
    given = damaged(files, what, start, stop)
    found = ""
    while (named := next_of(given, found)) is not None:
        name, data = named
        begin = time.process_time()
        found = outcome(name, data)
        events = list(seen)
        report["slowest"] = max(report["slowest"], time.process_time() - begin)
        report["models" if found is None else "refused"] += 1
        if found not in (None, "refused") or events:
            report["wrong"].append([name, found, events[:5]])
    report["seconds"] = time.process_time()
    print(json.dumps(report))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)
