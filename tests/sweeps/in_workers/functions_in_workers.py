"""What the tests of workers have done in them: a module that other processes can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

import fastmlp
from fastmlp import threads


class Counted:
    """Data that note in a file each time that they arrive in a process."""

    def __init__(self, directory):
        self.directory, self.values = str(directory), np.arange(500.0)

    def __getstate__(self):
        return self.__dict__

    def __setstate__(self, state):
        self.__dict__.update(state)
        with (Path(self.directory) / f"arrived-{os.getpid()}").open("a") as file:
            file.write("x")


def add(shared, item, progress):
    progress.note(0.5)
    time.sleep(0.4)
    return float(shared.values[item]), os.getpid(), fastmlp.get_num_threads()


def end_the_worker_once(shared, item, progress):
    mark = Path(shared) / f"died-{item}"
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * item


def end_every_worker(shared, item, progress):
    os.kill(os.getpid(), signal.SIGKILL)


def wrong(shared, item, progress):
    raise ZeroDivisionError(f"item {item}")


def wait_for_ever(shared, item, progress):
    while True:
        (Path(shared) / f"alive-{item}").touch()
        time.sleep(0.05)
        threads.raise_if_cancelled()
