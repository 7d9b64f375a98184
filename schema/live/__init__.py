"""Sends subscribers what happens, each event read once and each answer encoded once."""
