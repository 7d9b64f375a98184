"""Answers over GraphQL what the log and the read models know."""
