"""Training: from the arguments of fit to the steps of the kernels.

fit          chooses the kind of run
distributed  one network on several processes
lifecycle    beginning, resuming and finishing a run, under the model's lock
checkpoint   writing a run's state
resume       reading it
loop         the epoch loop
polish       full-batch proximal optimisation
stream       a session over a Parquet stream
evaluation   losses, metrics and predictions, some rows at a time
run_state    what a checkpoint holds of a run
data         x, y and weights checked and converted
python_loss  a session for losses written in Python
arguments    the arguments of fit, checked
rates        the learning rates of the next steps
session      what the loop drives: the Protocol `Session`
"""
