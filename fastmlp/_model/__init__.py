"""A model without its services: layers, weights, loss, optimizer, history.

model          the base class `Model`
history        the losses and metrics of a training
architecture   widths and values for each layer, read from text
clone          a new model like another
compatibility  which losses and metrics go with which last layer
prune          leaving out units that change no prediction
summary        the text of `summary`
"""
