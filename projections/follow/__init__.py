"""Follows the log as it grows: counts each event in, and sets aside one that cannot be counted."""
