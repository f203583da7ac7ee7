"""Who does many pieces of work: threads of this process, joblib's processes, a Dask cluster.

`engine` chooses. Each engine calls ``function(shared, item, progress)`` for every item, wherever
that may be: `shared` goes to each worker once, the kernels have so many threads in each call, and
what comes back is handed over in the calling thread as it comes. A worker that is lost has its
items done by others. Ctrl-C ends all of it within a second.
"""

from .base import Engine
from .choice import engine
from .share import Progress

__all__ = ["Engine", "Progress", "engine"]
