"""One process a file, one page each: open, loop, publish, close. No arithmetic here; bus.py alone knows ZeroMQ."""
