"""One file per analysis; each ends in the constant ``ANALYSIS``."""
