"""Where a phone is by its own sensors: MTLoc, and the dead reckoning with fingerprints that it has to beat."""
