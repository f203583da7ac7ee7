"""Time fastmlp beside NumPy, PyTorch, JAX, Keras and scikit-learn on the same work.

    python benchmarks/compare_peers.py                        # all cases, all that is installed
    python benchmarks/compare_peers.py --cases lecture,table-32 --peers fastmlp,torch --threads 2
    python benchmarks/compare_peers.py --list

Each measurement is a process of its own. Peers take turns within a round, in an order that rotates
from round to round, so that a slow minute of the machine meets all of them alike. What is reported
is the median over all windows of all rounds, and its ratio to fastmlp's (above 1: slower).
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from peers import CASES, PEERS, Work, installed

CHECKED_STEPS = 5
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
DISTRIBUTIONS = {"sklearn": "scikit-learn"}


def measure(name, case_name, windows, seconds):
    """Measure one peer on one case, in this process; return a dict that JSON can hold."""
    warnings.simplefilter("ignore")
    case = CASES[case_name]
    work = Work(case)
    peer = PEERS[name](work)
    sample = None
    if name != "sklearn":  # it does not start from given weights
        if case.what == "train" and work.full:
            for _ in range(CHECKED_STEPS):
                peer.train(1)
        sample = np.asarray(peer.predict()).ravel()[:20].astype(float).tolist()
    if case.what == "train":
        run = peer.train
    else:

        def run(calls):
            for _ in range(calls):
                peer.predict()
            return calls

    def timed(amount):
        start = time.perf_counter()
        done = run(amount)
        return (time.perf_counter() - start) / done

    amount = 1
    while True:  # find out how much work fills a window; compiles and warms up on the way
        run(amount)
        each = timed(amount)
        if each * amount > seconds / 4 or amount > 10**7:
            break
        amount *= 4
    amount = max(1, round(seconds / each))
    run(amount)
    times = [1e6 * timed(amount) for _ in range(windows)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    version = importlib.metadata.version(DISTRIBUTIONS.get(peer.package, peer.package))
    return {
        "microseconds": times,
        "repetitions": amount,
        "sample": sample,
        "version": version,
        "backend": os.environ.get("KERAS_BACKEND") if name == "keras" else None,
        "peak_rss_mb": round(peak / 1024),
    }


def in_a_process(name, case_name, options):
    """Run `measure` in a fresh process; return its dict, or one that holds the error."""
    environment = os.environ.copy()
    if options.threads:
        environment |= dict.fromkeys(THREAD_VARIABLES, str(options.threads))
    command = [sys.executable, __file__, "--measure", name, case_name]
    command += ["--windows", str(options.windows), "--seconds", str(options.seconds)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=options.timeout
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no result within {options.timeout} s"}
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def compiler_and_flags():
    """Return what the kernels were compiled with: from the module in use, and the build file."""
    from fastmlp import _kernels

    isa = _kernels.isa()
    module = sys.modules[_kernels.network_class("float32").__module__]
    found = re.search(
        rb"(GCC: \([^\0]+|clang version [^\0]+)\0", Path(module.__file__).read_bytes()
    )
    build = Path(__file__).parent.parent / "fastmlp" / "_kernels" / "CMakeLists.txt"
    flags = "unknown"
    if build.is_file():
        text = " ".join(build.read_text().split())
        common = re.search(r"target_compile_options\(\$\{name\} PRIVATE (.*?) ?\$\{ARGN\}", text)
        own = re.search(rf"network_modules\({isa} ?(.*?)\)", text)
        flags = " ".join(m.group(1) for m in (common, own) if m)
    return isa, found.group(1).decode() if found else "unknown", flags


def machine():
    """Return what a reader needs to judge the numbers."""
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    isa, compiler, flags = compiler_and_flags()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": model.group(1) if model else platform.processor(),
        "processors": os.cpu_count(),
        "processors_usable": usable,
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "instruction_set": isa,
        "compiler": compiler,
        "flags": flags,
    }


def agreement(sample, expected):
    """Return the largest difference of outputs from fastmlp's, relative to their spread."""
    if sample is None or expected is None:
        return None
    spread = max(np.ptp(expected), 0.1)
    return float(np.abs(np.subtract(sample, expected)).max() / spread)


def summarise(runs, case_names, peer_names):
    """Turn {(case, peer): [dict, ...]} into one row a pair."""
    rows = []
    for case in case_names:
        expected = next((r["sample"] for r in runs[case, "fastmlp"] if "sample" in r), None)
        base = None
        for peer in ["fastmlp", *(p for p in peer_names if p != "fastmlp")]:
            good = [r for r in runs[case, peer] if "error" not in r]
            row = {"case": case, "peer": peer}
            if not good:
                rows.append(row | {"error": runs[case, peer][-1]["error"]})
                continue
            windows = [t for r in good for t in r["microseconds"]]
            median = statistics.median(windows)
            base = median if peer == "fastmlp" else base
            rows.append(
                row
                | {
                    "version": good[0]["version"],
                    "backend": good[0]["backend"],
                    "microseconds": round(median, 3),
                    "lowest": round(min(windows), 3),
                    "highest": round(max(windows), 3),
                    "ratio": round(median / base, 3) if base else None,
                    "gflops": round(CASES[case].flops / median / 1e3, 2),
                    "peak_rss_mb": max(r["peak_rss_mb"] for r in good),
                    "difference": agreement(good[0]["sample"], expected),
                    "windows": [round(t, 3) for t in windows],
                }
            )
    return rows


def table(rows):
    lines = [f"{'case':16}{'peer':9}{'version':12}{'us':>12}{'ratio':>8}{'GFLOP/s':>9}{'diff':>9}"]
    for r in rows:
        if "error" in r:
            lines.append(f"{r['case']:16}{r['peer']:9}{r['error'][:60]}")
            continue
        ratio = "" if r["ratio"] is None else f"{r['ratio']:.2f}"
        difference = "" if r["difference"] is None else f"{r['difference']:.0e}"
        lines.append(
            f"{r['case']:16}{r['peer']:9}{r['version'][:11]:12}{r['microseconds']:>12.1f}"
            f"{ratio:>8}{r['gflops']:>9.1f}{difference:>9}"
        )
    return "\n".join(lines)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default=",".join(CASES), help="comma-separated")
    parser.add_argument("--peers", help="comma-separated; default: all that are installed")
    parser.add_argument("--threads", type=int, help="threads for everybody; default: their own")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--windows", type=int, default=3, help="timed windows a process")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a window")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a process may take")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--list", action="store_true", help="print cases and peers, and end")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.cases = options.cases.split(",")
    options.peers = options.peers.split(",") if options.peers else installed()
    unknown = set(options.cases) - set(CASES) | set(options.peers) - set(PEERS)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; see --list")
    if "fastmlp" not in options.peers:
        options.peers.insert(0, "fastmlp")  # the ratios are to it
    return options


def main():
    options = parse()
    if options.list:
        print("\n".join(f"{name:16}{case}" for name, case in CASES.items()))
        print("installed:", ", ".join(installed()))
        return
    if options.measure:
        print(json.dumps(measure(*options.measure, options.windows, options.seconds)))
        return
    about = machine()
    runs = {(case, peer): [] for case in options.cases for peer in options.peers}
    for k in range(options.rounds):
        turn = k % len(options.peers)
        for case in options.cases:
            for peer in options.peers[turn:] + options.peers[:turn]:
                print(f"round {k + 1}/{options.rounds}: {case}, {peer}", file=sys.stderr)
                runs[case, peer].append(in_a_process(peer, case, options))
    rows = summarise(runs, options.cases, options.peers)
    print(table(rows))
    if options.output:
        settings = {k: getattr(options, k) for k in ("threads", "rounds", "windows", "seconds")}
        document = {"machine": about, "settings": settings, "results": rows}
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
