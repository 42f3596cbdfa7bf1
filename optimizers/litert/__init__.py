"""Runs, reads and times LiteRT files without TensorFlow, so that a measuring process starts in a fraction of a second."""
