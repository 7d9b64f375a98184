"""Counts the board again from the log: read models, and what keeps them up to date."""
