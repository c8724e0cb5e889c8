"""Scores of a recorded session against its ground truth; knows messages, never the engine."""
