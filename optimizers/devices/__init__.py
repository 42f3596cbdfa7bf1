"""Measurements from other devices: timed by a visitor's browser, or imported from a benchmark's log.

Both are somebody's claim: they are checked for being possible, kept apart from what this machine measured, and seen by
those only who know the run they belong to.
"""
