"""Comparisons to take along: tables, one HTML file, and packs of evidence that others can verify."""
