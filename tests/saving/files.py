"""Keras's HDF5 files, made without Keras."""

import io
import json

import numpy as np


def old_weights(file, model, names=("dense/kernel:0", "dense/bias:0")):
    """Write weights as Keras 2 did."""
    dense = model.dense_layers
    file.attrs["layer_names"] = np.array([d.name.encode() for d in dense])
    for d in dense:
        group = file.create_group(d.name)
        group.attrs["weight_names"] = np.array([name.encode() for name in names])
        for name, array in zip(names, d.get_weights(), strict=True):
            group.create_dataset(name, data=array)


def old_config(model):
    """Return the configuration that Keras 2 wrote for a model connected by name."""
    config: dict = {"name": "input_1", "batch_input_shape": [None, model.n_inputs]}
    made = [{"class_name": "InputLayer", "inbound_nodes": [], "config": config}]
    before = "input_1"
    for d in model.dense_layers:
        config = {"name": d.name, "units": d.units, "activation": d.activation, "use_bias": True,
                  "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.5}}}  # fmt: skip
        nodes = [[[before, 0, 0, {}]]]
        made.append({"class_name": "Dense", "name": d.name, "config": config,
                     "inbound_nodes": nodes})  # fmt: skip
        before = d.name
    made.reverse()  # the order in the file is not the network's
    return {"class_name": "Functional", "config": {"name": "model", "layers": made}}


def hdf5(write, **settings):
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **settings) as file:
        write(file)
    return buffer.getvalue()


def numbered(file, names=("dense", "dense_1"), **settings):
    for name, (n_in, units) in zip(names, ((2, 3), (3, 1)), strict=False):
        group = file.create_group(f"layers/{name}/vars")
        group.create_dataset("0", data=np.ones((n_in, units), "f4"), **settings)
        group.create_dataset("1", data=np.ones(units, "f4"))


def whole(file, model):
    """Write a whole model as Keras 2 did."""
    file.attrs["model_config"] = json.dumps(old_config(model)).encode()
    old_weights(file.create_group("model_weights"), model)
