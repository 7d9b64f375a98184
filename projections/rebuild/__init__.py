"""Counts the log from its beginning: into tables beside those in use, to switch to them or to compare."""
