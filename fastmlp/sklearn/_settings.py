"""The class that pickles of older versions look for here."""

from ._parameters import HiddenLayers as Architecture

__all__ = ["Architecture"]
