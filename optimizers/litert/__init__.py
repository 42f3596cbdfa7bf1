"""Runs, reads and times LiteRT files without TensorFlow, so that a measuring process starts quickly and stays small."""
