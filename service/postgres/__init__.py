"""The Postgres of our own: its programs, its folder, its process."""
