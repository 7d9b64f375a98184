"""Measures Recount beside what people would pick instead: `make bench`, `bench-quick`, `bench-NAME`."""
