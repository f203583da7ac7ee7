"""Learning rates of schedules, written afresh from their documentation."""

from __future__ import annotations

import numpy as np


def rate_at(schedule, base, step):
    """Return the learning rate of a step, 0 for the first."""
    if schedule is None:
        return base
    kind, a = schedule
    first = a.get("initial_learning_rate", base)
    if kind == "ExponentialDecay":
        power = step / a["decay_steps"]
        return first * a["decay_rate"] ** (np.floor(power) if a["staircase"] else power)
    if kind == "StepDecay":
        return first * a["drop"] ** (step // a["steps_per_drop"])
    if kind == "InverseTimeDecay":
        time = step / a["decay_steps"]
        return first / (1 + a["decay_rate"] * (np.floor(time) if a["staircase"] else time))
    if kind == "PolynomialDecay":
        total = a["decay_steps"]
        if a["cycle"]:
            total *= max(1, -(-step // total))
        left = 1 - min(step, total) / total
        return (first - a["end_learning_rate"]) * left ** a["power"] + a["end_learning_rate"]
    if kind == "PiecewiseConstantDecay":
        return a["values"][sum(step > boundary for boundary in a["boundaries"])]
    assert kind == "CosineDecay"
    top = first if a["warmup_target"] is None else a["warmup_target"]
    if step < a["warmup_steps"]:
        return first + (top - first) * step / a["warmup_steps"]
    time = min(step - a["warmup_steps"], a["decay_steps"]) / a["decay_steps"]
    return top * ((1 - a["alpha"]) * (1 + np.cos(np.pi * time)) / 2 + a["alpha"])
