"""Runs and measurements, kept in a SQL database, and the DataFrames that pages and reports draw."""
