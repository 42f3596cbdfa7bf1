"""Turns recipes into files and numbers: plan, store, worker processes, queue."""
