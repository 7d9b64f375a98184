"""Takes an operation from its text to the bytes of its answer."""
