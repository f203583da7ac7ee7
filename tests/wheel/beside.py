"""Train fastmlp beside scikit-learn and PyTorch in one process, in the order of the arguments.

Each brings an OpenMP runtime of its own. Prints a digest of fastmlp's weights, which must not
depend on who came first, on who ran threads in between, or on the number of threads.
"""

import hashlib
import multiprocessing
import sys

import numpy as np


def data():
    rng = np.random.RandomState(5)
    x = rng.standard_normal((4000, 32)).astype(np.float32)
    return x, np.sin(x[:, :4]).sum(axis=1, keepdims=True)


def with_fastmlp():
    import fastmlp
    from fastmlp import models

    x, y = data()
    digests = set()
    for threads in (1, 2, 3):
        fastmlp.set_num_threads(threads)
        model = models.mlp("128x3", n_inputs=32, n_outputs=1, l2=1e-4, seed=3)
        model.compile(optimizer="adam", loss="mean_squared_error")
        model.fit(x, y, batch_size=256, epochs=3, verbose=0)
        bits = b"".join(array.tobytes() for array in model.get_weights())
        digests.add(hashlib.sha256(bits + model.predict(x).tobytes()).hexdigest())
    assert len(digests) == 1, "the number of threads changed the bits"
    return digests.pop()


def with_sklearn():
    from sklearn.cluster import KMeans
    from sklearn.ensemble import HistGradientBoostingRegressor

    from fastmlp.sklearn import MLPRegressor

    x, y = data()
    KMeans(8, n_init=1, random_state=0).fit(x)
    HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(x, y.ravel())
    MLPRegressor(units="32x2", max_iter=3, tol=0, random_state=0).fit(x, y.ravel())
    return "ran"


def with_torch():
    import torch

    x, y = (torch.from_numpy(array) for array in data())
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(32, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
    optimizer = torch.optim.Adam(model.parameters())
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x), y.float()).backward()
        optimizer.step()
    return "ran"


WORK = {"fastmlp": with_fastmlp, "sklearn": with_sklearn, "torch": with_torch}


def main(order):
    digests = set()
    for _ in range(2):  # the second time all runtimes are there, with threads of their own
        for name in order:
            result = WORK[name]()
            if name == "fastmlp":
                digests.add(result)
    with multiprocessing.get_context("fork").Pool(2) as pool:  # their threads do not follow
        digests.update(pool.starmap_async(with_fastmlp, [()] * 2).get(timeout=120))
    assert len(digests) == 1, "others in the process changed the bits"
    print(digests.pop())


if __name__ == "__main__":
    main(sys.argv[1:])
