"""Central differences of a network's loss, and where they cannot be taken."""

import numpy as np

from fastmlp._kernels.formulas import FLOOR


def central_difference(value, array, step):
    """Differentiate value() by each entry of `array`, which it reads; fourth order in step."""
    found = np.empty(array.shape)
    for at in np.ndindex(array.shape):
        kept = array[at]
        values = []
        for k in (-2, -1, 1, 2):
            array[at] = kept + k * step
            values.append(value())
        array[at] = kept
        found[at] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return found


def kink_distance(net, x, y):
    """Return how near a float64 reference comes to a place without a derivative."""
    _, z, a = net._forward(x)
    distances = [1.0]
    for i, name in enumerate(net._activations):
        if name in ("relu", "leaky_relu", "elu"):
            distances.append(np.abs(z[i]).min())
        l1, _, bias_l1, _ = net._penalties[i]
        distances.append(np.abs(net.weights(i)).min() if l1 else 1.0)
        distances.append(np.abs(net.bias(i)).min() if bias_l1 else 1.0)
    loss, last, p = net._settings["loss"], net._activations[-1], a[-1]
    if loss in ("mean_absolute_error", "huber"):
        at = net._settings["huber_delta"] if loss == "huber" else 0.0
        distances.append(np.abs(np.abs(p - y) - at).min())
    fused = ("sigmoid" if loss == "binary_crossentropy" else "softmax") == last
    if loss.endswith("crossentropy") and not fused:
        # Only the clip is a kink, but near it the loss is too steep for a fixed step as well.
        p = p if loss == "binary_crossentropy" else p / p.sum(axis=1, keepdims=True)
        distances.append(min(p.min() - FLOOR, (1 - FLOOR - p).min()) if p.shape[1] > 1 else 0.0)
    return min(distances)


def assert_gradients_match(net, x, y, weight, step, *, tolerance=1e-6, spoil=1.0, use_bias=None):
    """Compare gradients() with differences of evaluate() + penalty().

    The error is relative to the largest entry of each array (or, for arrays of next to no
    gradient, to a thousandth of the largest of all).
    """
    total = net.gradients(x, y, weight, n_threads=1)

    def value():
        return net.evaluate(x, y, weight, n_threads=1)[0] + net.penalty()

    assert abs(total - value()) <= 1e-12 * max(1.0, abs(total))
    names = [("weights", i) for i in range(net.n_layers)]
    names += [("bias", i) for i in range(net.n_layers) if use_bias is None or use_bias[i]]
    views = {(k, i): getattr(net, k)(i) for k, i in names}
    analytic = {(k, i): spoil * np.array(getattr(net, f"{k}_gradient")(i)) for k, i in names}
    largest = max(np.abs(g).max() for g in analytic.values())
    for name, view in views.items():
        numeric = central_difference(value, view, step)
        error = np.abs(analytic[name] - numeric).max()
        scale = max(np.abs(numeric).max(), 1e-3 * largest)
        assert error <= tolerance * scale, f"{name[0]} {name[1]}: off by {error / scale:.3g}"
