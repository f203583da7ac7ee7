"""The typed interface of networks describes the compiled classes and the reference."""

import importlib
import inspect

import pytest

from fastmlp import _kernels
from fastmlp._kernels import interface

from ..support.reference import ReferenceNetwork

COMPILED = [
    importlib.import_module(f"fastmlp._kernels.network_{isa}_{suffix}").Network
    for isa in _kernels.supported_isas()
    for suffix in ("f32", "f64")
]


def members(protocol):
    """Yield the names of a Protocol's own and inherited members."""
    found = {*protocol.__annotations__} if "__annotations__" in vars(protocol) else set()
    for base in protocol.__mro__:
        if base.__module__ == interface.__name__:
            found |= {*vars(base).get("__annotations__", ())}
            found |= {name for name in vars(base) if not name.startswith("_")}
    return sorted(found)


def parameters(function):
    """Return name, kind and default of each parameter but self, which is positional in C alone."""
    given = [*inspect.signature(function).parameters.values()]
    return [(p.name, p.kind, p.default) for p in given if p.name != "self"]


def made(cls):
    return cls(2, [3, 1], ["tanh", "linear"])


@pytest.mark.parametrize("cls", COMPILED, ids=lambda cls: cls.__module__.rpartition(".")[2])
def test_compiled_networks_have_the_interface(cls):
    network = made(cls)
    for name in members(interface.Network):
        promised = getattr(interface.Network, name, None)
        if not inspect.isfunction(promised):
            assert hasattr(network, name), name
        else:
            assert parameters(getattr(cls, name)) == parameters(promised), name


def test_the_reference_has_the_interface():
    network = made(ReferenceNetwork)
    for name in members(interface.Arithmetic):
        promised = getattr(interface.Arithmetic, name, None)
        if not inspect.isfunction(promised):
            assert hasattr(network, name), name
        else:
            assert parameters(getattr(ReferenceNetwork, name)) == parameters(promised), name


def test_a_missing_or_changed_parameter_is_seen():
    def weights(self, layer): ...

    assert parameters(weights) != parameters(interface.Arithmetic.weights)
    assert "weights" in members(interface.Network) and "step" in members(interface.Network)
