"""Search for the best recipe under limits, within a time, on validation data only."""
