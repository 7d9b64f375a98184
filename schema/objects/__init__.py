"""The things that the schema answers with, and the root fields that lead to them."""
