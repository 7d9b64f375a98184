"""The log in Postgres: its migrations, what may be done to it, and who is woken when it grows."""
