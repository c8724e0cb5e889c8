"""Pure room: messages in, messages out. No I/O, no clock, no threads, no unseeded randomness."""
