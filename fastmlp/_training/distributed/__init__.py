"""Training one network in several processes, or as if in several: batches cut into shards.

    fit -> _fit.Run          the fit loop: what the processes agree on, who writes files
             _alike.py         what all must have been given alike
             _session.py     one step: parts of a batch forward and back, then the same update
               _exchange.py  gradients added across processes while earlier layers go back
               _rows.py      which rows are whose, of arrays and of files
           _evaluation.py    losses and metrics of rows that several processes hold
           _ranks.py         the processes, and how an error of one becomes an error of all

The rows are cut into as many shards as asked for, whatever the number of processes; every batch
takes its share from each. With the shards' gradients added in one fixed tree, the result has the
same bits in one process, in two and in four.
"""

from __future__ import annotations

from .evaluation import evaluate
from .fit import fit, shards_for
from .ranks import Ranks, as_ranks

__all__ = ["Ranks", "as_ranks", "evaluate", "fit", "shards_for"]
