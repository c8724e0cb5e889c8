"""Cameras: capture that survives a dead stream, and people found by HOG where something moved."""
