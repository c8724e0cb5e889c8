"""Bytes and images in, messages out. Parsers are pure, ports do the I/O, simulated/ is a first-class backend."""
