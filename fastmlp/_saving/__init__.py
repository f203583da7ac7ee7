"""Reading and writing models, ours and others'.

fmlp          our format: safetensors with a JSON table
history       a training's history in such a file
kinds         which module reads which kind of file
export        choosing the format of an export
c, onnx       writers of one C file, and of ONNX
keras_reader, keras_writer, hdf5, zip
              Keras's formats
torch         PyTorch's state dicts
parts         the parts of a model that a foreign file yields
untrusted     parsing files that anybody may have written
"""
