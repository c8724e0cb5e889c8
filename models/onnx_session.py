"""An ONNX file's content as a session of ONNX Runtime: one thread, on the processor, so that runs repeat themselves."""

from typing import Any


class NotOnnx(ValueError):
    """The content is no ONNX model, or a damaged one."""


def open_session(content: bytes) -> Any:
    """An onnxruntime.InferenceSession. Raises NotOnnx."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen kinds for a damaged file
        raise NotOnnx("no ONNX model, or a damaged one") from error
