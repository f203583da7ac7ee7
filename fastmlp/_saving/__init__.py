"""Read and write models, in fastmlp's format and in others'.

fmlp          fastmlp's format: safetensors with a JSON description
history       a training history in such a file
kinds         which function reads which kind of file
export        writing a model in another format
c             writing one C file
onnx          writing ONNX, preprocessing included
keras_reader  reading Keras's files
keras_writer  writing Keras's .keras file
hdf5          reading the HDF5 files that Keras writes
zip           reading the zip archives that Keras writes
torch         reading and writing PyTorch's state dicts
parts         a model taken apart, and what a foreign file yields
untrusted     parsing JSON and safetensors from untrusted files
"""
