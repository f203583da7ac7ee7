"""Training: from the arguments of fit to the steps of the kernels.

fit          check the arguments and data of fit, and choose the kind of run
distributed  train one network on several processes
lifecycle    begin, resume and finish a run, while the model is locked
checkpoint   write a run to its checkpoint
resume       read a run from its checkpoint
loop         the epoch loop
polish       full-batch proximal optimisation
stream       a session over a Parquet stream
evaluation   predictions, losses, metrics, activations and gradients
input_gradients  gradients of the outputs by the inputs
run_state    a run's state as JSON values, and digests of its data
data         check and convert x, y and weights
python_loss  a session with a loss written in Python
arguments    check the arguments of fit
rates        set the learning rates of the next steps
thread_choice  choose the number of threads by the time of the steps
session      the Protocol `Session`, which the loop drives
"""
