"""Turns what an operation selects into SQL and the shape of its answer."""
