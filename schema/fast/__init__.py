"""Answers plain selections without graphql-core's walk over every value; see docs/fast-path.md."""
