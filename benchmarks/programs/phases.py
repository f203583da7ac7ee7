"""Print what each thread does with its time in the steps of some cases.

Needs an installation that counts it::

    pip install . --config-settings=cmake.define.FASTMLP_PHASES=ON
    python benchmarks/programs/phases.py --cases table-256,table-32 --threads 2
"""

import argparse
import sys
import time

import fastmlp
from fastmlp import _kernels, bench
from fastmlp.bench.peers import FastMLP, PeerWorkload


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", default="table-256,table-32,wide-512,lecture,units-1024")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=2.0, help="Of training in each case.")
    options = parser.parse_args()
    module = sys.modules[_kernels.network_class("float32").__module__]
    if module.phases(1) is None:
        parser.error(
            "These kernels count nothing: install them with "
            "--config-settings=cmake.define.FASTMLP_PHASES=ON"
        )
    fastmlp.set_num_threads(options.threads)
    for name in bench.parse_cases(options.cases):
        work = PeerWorkload(bench.CASES[name])
        peer = FastMLP(work)
        start = time.perf_counter()
        steps = peer.train(work.case.steps_per_epoch)
        steps *= max(1, int(options.seconds / (time.perf_counter() - start)))
        module.phases(options.threads)
        start = time.perf_counter()
        steps = peer.train(steps)
        each = (time.perf_counter() - start) / steps * 1e6
        print(f"{name}: {each:.1f} us a step; us a step of each thread, and at barriers:")
        found = module.phases(options.threads)
        for phase in found[0]:
            times = [[t / steps * 1e6 for t in thread[phase]] for thread in found]
            if any(max(both) >= each / 1000 for both in times):
                cells = (f"{spent:10.1f} +{waited:8.1f}" for spent, waited in times)
                print(f"    {phase:8}", *cells)


if __name__ == "__main__":
    main()
