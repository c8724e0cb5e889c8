"""TI IWR6843 radars: the UART frame parser, the two serial ports and the configuration dialogue."""

from .profile import ChirpProfile, describe, read_profile

__all__ = ["ChirpProfile", "describe", "read_profile"]
