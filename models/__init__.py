"""Networks, their training, and the ONNX files with model cards that the runtime loads."""
