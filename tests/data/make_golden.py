"""Make golden.npz: trainings by PyTorch's autodiff, losses and optimizers, for test_golden.py.

    pip install numpy torch
    python tests/data/make_golden.py

Every combination of a problem and an optimizer below is trained for 50 full-batch steps in
float64. The file holds the losses of all steps and the final weights and biases. Nothing of
fastmlp is used, and of fastmlp's formulas only those PyTorch has no counterpart of: which penalty
is added, and how epsilon stands in Adam's denominator.
"""

import itertools
import json
import pathlib

import numpy as np

STEPS = 50
PATH = pathlib.Path(__file__).with_name("golden.npz")

# Sizes are those of inputs, hidden layers, outputs; penalties (l1, l2, bias_l1, bias_l2) by layer.
PROBLEMS = {
    "mse": {
        "sizes": [4, 7, 5, 3],
        "activations": ["tanh", "sigmoid", "linear"],
        "loss": "mean_squared_error",
        "penalties": [[0, 0.01, 0, 0], [0, 0.001, 0, 0.02], [0, 0, 0, 0]],
    },
    "mae": {
        "sizes": [3, 6, 1],
        "activations": ["softplus", "linear"],
        "loss": "mean_absolute_error",
        "penalties": [[0, 0, 0, 0], [0, 0, 0, 0]],
    },
    "huber": {
        "sizes": [2, 9, 8, 2],
        "activations": ["gelu", "silu", "linear"],
        "loss": "huber",
        "huber_delta": 0.5,
        "penalties": [[0.001, 0, 0.002, 0], [0.001, 0.002, 0, 0], [0, 0, 0, 0]],
        "weighted": True,
    },
    "poisson": {
        "sizes": [3, 8, 2],
        "activations": ["elu", "softplus"],
        "loss": "poisson",
        "penalties": [[0, 0.003, 0, 0], [0, 0, 0, 0]],
    },
    "binary": {
        "sizes": [5, 8, 1],
        "activations": ["relu", "sigmoid"],
        "loss": "binary_crossentropy",
        "penalties": [[0.002, 0, 0, 0], [0, 0.01, 0, 0]],
        "weighted": True,
    },
    "classes": {
        "sizes": [3, 6, 4],
        "activations": ["leaky_relu", "softmax"],
        "loss": "sparse_categorical_crossentropy",
        "penalties": [[0, 0, 0, 0], [0, 0.002, 0, 0]],
    },
    "soft_labels": {
        "sizes": [3, 5, 4],
        "activations": ["softmax", "softmax"],
        "loss": "categorical_crossentropy",
        "penalties": [[0, 0, 0, 0], [0, 0, 0, 0]],
    },
    "probabilities": {
        "sizes": [3, 5, 3],
        "activations": ["tanh", "sigmoid"],
        "loss": "categorical_crossentropy",
        "penalties": [[0, 0.002, 0, 0], [0, 0, 0, 0]],
    },
}
# Adagrad adds epsilon outside the root in PyTorch, inside in fastmlp: here too small to tell.
OPTIMIZERS = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.05},
    "momentum": {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9},
    "nesterov": {"optimizer": "sgd", "learning_rate": 0.02, "momentum": 0.9, "nesterov": True},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.002, "rho": 0.9, "epsilon": 1e-4},
    "adagrad": {
        "optimizer": "adagrad", "learning_rate": 0.05, "initial_accumulator": 0.1, "epsilon": 1e-20
    },
    "adam": {"optimizer": "adam", "learning_rate": 0.01, "epsilon": 1e-7},
    "adam_counted": {"optimizer": "adam", "learning_rate": 0.01, "epsilon": 1e-3,
                     "initial_step": 1, "beta_1": 0.8, "beta_2": 0.99},
    "adamw": {
        "optimizer": "adamw", "learning_rate": 0.01, "epsilon": 1e-7, "weight_decay": 0.1
    },
    "clip_norm": {"optimizer": "sgd", "learning_rate": 0.2, "clip_norm": 0.1},
    "clip_array_norm": {"optimizer": "sgd", "learning_rate": 0.2, "clip_array_norm": 0.05},
    "clip_value": {"optimizer": "sgd", "learning_rate": 0.5, "clip_value": 0.01},
}  # fmt: skip
CASES = [(problem, optimizer) for problem in PROBLEMS for optimizer in OPTIMIZERS]


def draw(name, seed=0, n=40):
    """Return x, y, sample weights or None, and [w0, b0, w1, ...] of a problem.

    All are float64 and have exact float32 counterparts, so that both types start alike.
    """
    problem = PROBLEMS[name]
    rng = np.random.RandomState([seed, list(PROBLEMS).index(name)])
    sizes, loss = problem["sizes"], problem["loss"]
    x = rng.standard_normal((n, sizes[0]))
    if loss == "poisson":
        y = rng.poisson(2.0, (n, sizes[-1]))
    elif loss == "binary_crossentropy":
        y = rng.randint(0, 2, (n, sizes[-1]))
    elif loss == "sparse_categorical_crossentropy":
        y = rng.randint(0, sizes[-1], (n, 1))
    elif loss == "categorical_crossentropy":
        y = rng.dirichlet(np.ones(sizes[-1]), n)
    else:
        y = rng.standard_normal((n, sizes[-1]))
    weight = rng.uniform(0.5, 2.0, n) if problem.get("weighted") else None
    parameters = []
    for n_in, n_out in itertools.pairwise(sizes):
        parameters.append(rng.standard_normal((n_in, n_out)) / np.sqrt(n_in))
        parameters.append(0.1 * rng.standard_normal(n_out))

    def exact(a):
        return None if a is None else np.asarray(a, np.float32).astype(np.float64)

    return exact(x), exact(y), exact(weight), [exact(p) for p in parameters]


def loss_of(problem, parameters, x, y, weight):
    """Return loss plus penalty, a differentiable scalar."""
    import torch
    from torch.nn import functional

    functions = {
        "linear": lambda z: z,
        "relu": functional.relu,
        "leaky_relu": lambda z: functional.leaky_relu(z, 0.2),
        "elu": functional.elu,
        "gelu": functional.gelu,
        "silu": functional.silu,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "softplus": lambda z: functional.softplus(z, threshold=50),
        "softmax": lambda z: functional.softmax(z, dim=1),
    }
    a, loss, penalty = x, problem["loss"], 0.0
    for i, name in enumerate(problem["activations"]):
        w, b = parameters[2 * i : 2 * i + 2]
        z = a @ w + b
        a = functions[name](z)
        l1, l2, bias_l1, bias_l2 = problem["penalties"][i]
        penalty = penalty + l1 * w.abs().sum() + l2 * (w * w).sum()
        penalty = penalty + bias_l1 * b.abs().sum() + bias_l2 * (b * b).sum()
    if loss == "mean_squared_error":
        rows = functional.mse_loss(a, y, reduction="none").mean(1)
    elif loss == "mean_absolute_error":
        rows = functional.l1_loss(a, y, reduction="none").mean(1)
    elif loss == "huber":
        rows = functional.huber_loss(a, y, reduction="none", delta=problem["huber_delta"]).mean(1)
    elif loss == "poisson":
        rows = functional.poisson_nll_loss(a, y, log_input=False, eps=1e-7, reduction="none").mean(
            1
        )
    elif loss == "binary_crossentropy":
        rows = functional.binary_cross_entropy_with_logits(z, y, reduction="none").mean(1)
    elif loss == "sparse_categorical_crossentropy":
        rows = functional.cross_entropy(z, y[:, 0].long(), reduction="none")
    elif name == "softmax":
        rows = functional.cross_entropy(z, y, reduction="none")
    else:
        shares = a / a.sum(1, keepdim=True)
        rows = -(y * shares.clamp(1e-7, 1 - 1e-7).log()).sum(1)
    return (rows if weight is None else rows * weight).mean() + penalty


def build_optimizer(options, parameters):
    """Return one of PyTorch's optimizers and a function to call before each step t = 1, 2, ..."""
    import torch

    kind, lr = options["optimizer"], options["learning_rate"]
    if kind == "sgd":
        momentum, nesterov = options.get("momentum", 0.0), options.get("nesterov", False)
        return torch.optim.SGD(parameters, lr, momentum, nesterov=nesterov), lambda t: None
    if kind == "rmsprop":
        alpha, eps = options["rho"], options["epsilon"]
        return torch.optim.RMSprop(parameters, lr, alpha=alpha, eps=eps), lambda t: None
    if kind == "adagrad":
        start, eps = options["initial_accumulator"], options["epsilon"]
        made = torch.optim.Adagrad(parameters, lr, initial_accumulator_value=start, eps=eps)
        return made, lambda t: None
    betas = options.get("beta_1", 0.9), options.get("beta_2", 0.999)
    done = options.get("initial_step", 0)
    if kind == "adam":
        made = torch.optim.Adam(parameters, lr, betas)
    else:
        made = torch.optim.AdamW(parameters, lr, betas, weight_decay=options["weight_decay"])
    for p in parameters:
        made.state[p] = {
            "step": torch.tensor(float(done)),
            "exp_avg": torch.zeros_like(p),
            "exp_avg_sq": torch.zeros_like(p),
        }

    def before(t):
        # PyTorch adds epsilon after correcting v's bias, TensorFlow and fastmlp before.
        made.param_groups[0]["eps"] = options["epsilon"] / np.sqrt(1 - betas[1] ** (t + done))

    return made, before


def train(problem, options, x, y, weight, start, *, steps=STEPS, dtype="float64"):
    """Return the losses before each step, the last step's weights, and the first gradient."""
    import torch

    def tensor(a):
        return None if a is None else torch.tensor(a, dtype=getattr(torch, dtype))

    x, y, weight = tensor(x), tensor(y), tensor(weight)
    parameters = [tensor(p).requires_grad_() for p in start]
    optimizer, before = build_optimizer(options, parameters)
    losses, first = [], None
    for t in range(1, steps + 1):
        optimizer.zero_grad()
        loss = loss_of(problem, parameters, x, y, weight)
        loss.backward()
        losses.append(loss.item())
        first = first or [p.grad.numpy().copy() for p in parameters]
        if options.get("clip_norm"):
            norm = torch.cat([p.grad.ravel() for p in parameters]).norm()
            for p in parameters:
                p.grad *= min(1.0, options["clip_norm"] / norm)
        for p in parameters if options.get("clip_array_norm") else ():
            p.grad *= min(1.0, options["clip_array_norm"] / p.grad.norm())
        if options.get("clip_value"):
            torch.nn.utils.clip_grad_value_(parameters, options["clip_value"])
        before(t)
        optimizer.step()
    return np.array(losses), [p.detach().numpy().copy() for p in parameters], first


def flat(arrays):
    return np.concatenate([a.ravel() for a in arrays])


def unflat(flattened, like):
    """Cut what `flat` made of arrays shaped as `like`."""
    ends = np.cumsum([a.size for a in like])
    assert len(flattened) == ends[-1]
    return [c.reshape(a.shape) for c, a in zip(np.split(flattened, ends[:-1]), like, strict=True)]


def definitions():
    """Return what the numbers depend on, as text: a stale file is told by it."""
    return json.dumps([STEPS, PROBLEMS, OPTIMIZERS])


def main():
    import torch

    arrays = {"definitions": np.array(definitions()), "torch": np.array(torch.__version__)}
    for name in PROBLEMS:
        x, y, weight, start = draw(name)
        weights = [] if weight is None else [weight]
        arrays[f"data/{name}"] = flat([x, y, *weights, *start])
    for name, optimizer in CASES:
        losses, parameters, _ = train(PROBLEMS[name], OPTIMIZERS[optimizer], *draw(name))
        arrays[f"losses/{name}/{optimizer}"] = losses
        arrays[f"parameters/{name}/{optimizer}"] = flat(parameters)
        print(f"{name:14} {optimizer:13} {losses[0]:.6f} -> {losses[-1]:.6f}")
    np.savez_compressed(PATH, **arrays)
    print(f"{PATH}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
