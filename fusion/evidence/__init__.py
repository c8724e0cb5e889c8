"""One witness a file: each says how well an enrolled device fits each track, in nats."""
