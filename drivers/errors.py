"""How devices fail, in four words; vendor errors are translated at the edge with `raise ... from error`.

Silence is not a failure (a port's `read` returns None), and a bad frame is a count, not an exception.
"""


class DeviceError(Exception):
    """A device cannot be used; the text is one sentence that says what, where, and what would be right."""


class DeviceNotFound(DeviceError):
    """It is not there: no such port, file, interface or address. Trying again may help."""


class DeviceLost(DeviceError):
    """It was there and went away: unplugged, hung up, timed out. Trying again is the cure."""


class DeviceRefused(DeviceError):
    """It is there and says no: permission, a wrong configuration, a sensor that needs its power cycled.
    A person has to act; the text says how."""
