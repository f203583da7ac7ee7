"""Train one network on several processes: rows and batches are cut into shards.

fit         the fit loop on all ranks: `ShardedRun`
agreement   check that all ranks have the same model, arguments and data
session     one step: the shards' gradients, their sum, then the same update on every rank
allreduce   add gradients across ranks while earlier layers still go backward
shards      the rows of each shard, of arrays and of files
evaluation  losses and metrics of rows that several ranks hold
ranks       the processes, and how an error on one is raised on all

The number of shards does not depend on the number of processes, and every batch has rows of each
shard. The shards' gradients are added in one fixed tree, so the result has the same bits on one
process, on two and on four.
"""

from __future__ import annotations

from .evaluation import evaluate
from .fit import fit, shards_for
from .ranks import Ranks, as_ranks

__all__ = ["Ranks", "as_ranks", "evaluate", "fit", "shards_for"]
