"""Small tools that know nothing of networks.

arguments     checks of arguments, and lookups by name
arrays        arrays checked and converted
atomic        writing files whole or not at all
cards         HTML cards with small SVG, for notebooks
claim         a lock on a file that one process writes repeatedly
interrupts    delaying Ctrl-C while a file is written
moments       means and standard deviations of columns that come in parts
names         the names of activations, losses, optimizers, tasks and penalties
old_modules   old names of modules, for pickles made by earlier versions
optional      importing packages that are not always installed
progress      a bar, curves or lines of progress
settings      objects whose settings are checked when they are assigned
sparse        inputs given by their nonzeros
tf1_random    TensorFlow 1's stream of normal numbers
version       the version
"""
