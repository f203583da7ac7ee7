"""Small tools without a concept of networks.

arguments     checks of arguments, with the error that says what arrived
arrays        arrays checked and converted
atomic        files written whole or not at all
claim         a file that one process at a time may write
interrupts    Ctrl-C held back while a file is written
moments       means and deviations of columns, in pieces
names         the names of activations, losses, optimizers, tasks and penalties
old_modules   old names of modules, for pickles made by earlier versions
optional      packages that are not always installed
progress      a line of progress
settings      objects whose settings are checked when they are assigned
tf1_random    TensorFlow 1's stream of normal numbers
version       the version
"""
