"""How the service listens, who may come in, what is counted and logged, and the pages it serves."""
