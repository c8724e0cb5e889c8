"""WiFi sniffers: captures, monitor interfaces, ESP32 lines and station tables in; per-device windows of signal strength
under pseudonyms out. Parsers are pure, ports do the reading, and no hardware address leaves this package."""

from .port import SnifferPort, open_sniffer
from .pseudonyms import Pseudonyms, enrolled_pseudonym, load_key
from .radiotap import parse_radiotap
from .sighting import Sighting
from .windows import Windows

__all__ = [
    "Pseudonyms",
    "Sighting",
    "SnifferPort",
    "Windows",
    "enrolled_pseudonym",
    "load_key",
    "open_sniffer",
    "parse_radiotap",
]
