"""How the engine's state becomes bytes and comes back: plain values and numpy arrays in msgpack, nothing else.

Arrays come back freshly allocated, contiguous and in their dtype, so that a restored engine computes bit for bit
what the saved one would have.
"""

from typing import Any

import msgspec
import numpy as np

_ARRAY = 1  # msgpack extension code


def pack(state: dict[str, Any]) -> bytes:
    """State to bytes; the same state always gives the same bytes."""
    return _ENCODER.encode(state)


def unpack(data: bytes) -> dict[str, Any]:
    """Bytes to state. Raises ValueError where they are not a packed state."""
    try:
        return _DECODER.decode(data)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise ValueError(f"not a state of the engine: {error}") from error


def _to_extension(value: Any) -> msgspec.msgpack.Ext:
    if isinstance(value, np.ndarray):
        header = msgspec.msgpack.encode((value.dtype.str, value.shape))
        return msgspec.msgpack.Ext(_ARRAY, bytes([len(header)]) + header + value.tobytes())
    raise TypeError(f"{type(value).__name__} is not state")


def _from_extension(code: int, data: memoryview) -> np.ndarray:
    if code != _ARRAY:
        raise ValueError(f"unknown extension {code}")
    size = data[0]
    dtype, shape = msgspec.msgpack.decode(data[1 : 1 + size])
    return np.frombuffer(data[1 + size :], dtype).reshape(shape).copy()


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_to_extension)
_DECODER = msgspec.msgpack.Decoder(ext_hook=_from_extension)
