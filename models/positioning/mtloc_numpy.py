"""MTLoc in plain numpy, from the weights in its ONNX file: the third opinion beside torch and onnxruntime.

ONNX orders an LSTM's gates input, output, forget, cell and keeps both biases in one row; torch orders them input,
forget, cell, output. Slow; for checks, and to take a motion branch out of a deployed model.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]

WIDTH = 128
DENSE = ("wifi_1", "wifi_2", "joined", "out")
_TO_TORCH = (0, 2, 3, 1)  # where torch's gates are among ONNX's


def weights_of(content: bytes) -> dict[str, F32]:
    """The arrays of an exported model: "<part>.weight" (out,in) and ".bias" of the dense parts; "<part>.w" (4H,I),
    ".r" (4H,H), ".b" (8H,) of the two LSTMs "imu" and "mag", gates in ONNX's order. Raises ValueError for what is no
    ONNX file, and for another graph."""
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load_from_string(content).graph
    except Exception as error:  # protobuf's errors share no base with any other
        raise ValueError(f"this is no ONNX file, or a damaged one ({error})") from error
    try:
        found = _found(graph, numpy_helper.to_array)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError("this is no exported MTLoc network: another graph is in it") from error
    if len(found) != 14:
        raise ValueError(f"this is no exported MTLoc network: {len(found)} of its 14 arrays are in it")
    return found


def _found(graph: Any, array: Callable[[Any], F32]) -> dict[str, F32]:
    """Those of the arrays that the graph has, by their names here."""
    held = {each.name: array(each) for each in graph.initializer}
    for node in graph.node:  # the exporter stacks an LSTM's weights by nodes of constants at times
        if node.op_type == "Constant":
            held[node.output[0]] = array(node.attribute[0].t)
        elif node.op_type == "Identity" and node.input[0] in held:  # equal arrays are kept once
            held[node.output[0]] = held[node.input[0]]
    recurrent = [node for node in graph.node if node.op_type == "LSTM"]
    found = {
        f"{part}.{kind}": held[f"{part}.{kind}"]
        for part in DENSE
        for kind in ("weight", "bias")
        if f"{part}.{kind}" in held
    }
    for node in recurrent:
        w, r, b = (held[name][0] for name in node.input[1:4])
        part = "imu" if w.shape[1] == 2 else "mag"
        found.update({f"{part}.w": w, f"{part}.r": r, f"{part}.b": b})
    return found


def forward(weights: Mapping[str, F32], wifi: F32, imu: F32, mag: F32) -> F32:
    """xy (B,2) in the unit box of wifi (B,A), imu (B,10,2), mag (B,10,1)."""
    heard = _dense(weights, "wifi_2", _dense(weights, "wifi_1", wifi))
    both = np.concatenate([heard, last_hidden(weights, "imu", imu), last_hidden(weights, "mag", mag)], axis=1)
    joined = _dense(weights, "joined", both)
    return joined @ weights["out.weight"].T + weights["out.bias"]


def last_hidden(weights: Mapping[str, F32], part: str, steps: F32) -> F32:
    """The LSTM's hidden state (B,128) after the last step of steps (B,T,I)."""
    w, r, b = weights[f"{part}.w"], weights[f"{part}.r"], weights[f"{part}.b"]
    bias = b[: 4 * WIDTH] + b[4 * WIDTH :]
    hidden = np.zeros((len(steps), WIDTH), np.float32)
    cell = np.zeros_like(hidden)
    for t in range(steps.shape[1]):
        gates = steps[:, t] @ w.T + hidden @ r.T + bias
        keep_in, out, forget = (_sigmoid(gates[:, k * WIDTH : (k + 1) * WIDTH]) for k in range(3))
        cell = forget * cell + keep_in * np.tanh(gates[:, 3 * WIDTH :])
        hidden = out * np.tanh(cell)
    return hidden.astype(np.float32)


def torch_order(weights: Mapping[str, F32], part: str) -> tuple[F32, F32, F32]:
    """weight_ih (4H,I), weight_hh (4H,H) and the one bias (4H,) of an LSTM, gates in torch's order."""
    rows = np.concatenate([np.arange(k * WIDTH, (k + 1) * WIDTH) for k in _TO_TORCH])
    bias = weights[f"{part}.b"]
    return weights[f"{part}.w"][rows], weights[f"{part}.r"][rows], (bias[: 4 * WIDTH] + bias[4 * WIDTH :])[rows]


def _dense(weights: Mapping[str, F32], part: str, values: F32) -> F32:
    return np.maximum(values @ weights[f"{part}.weight"].T + weights[f"{part}.bias"], 0.0)


def _sigmoid(values: NDArray) -> NDArray:
    return 1.0 / (1.0 + np.exp(-values))
