"""A model without its services: layers, weights, loss, optimizer, history.

model          the base class `Model`
history        losses and metrics of a training
architecture   parse widths of layers, and values for each
clone          a new model with the same architecture and compilation
compatibility  check that last layer, loss and metrics are compatible
prune          remove units that change no prediction
summary        the text of `summary`
"""
