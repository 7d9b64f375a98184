"""A projection of one's own: this file, the .sql file beside it, and an entry point in pyproject.toml."""

from projections.catalogue import from_file

votes_by_mail_domain = from_file(__file__, "votes_by_mail_domain")
