"""Answers of several files to one example, given live: drawn, uploaded, typed, or one of the data's own."""
