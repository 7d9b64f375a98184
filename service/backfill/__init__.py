"""Learns from Sleekplan's REST API what no webhook told: fetch, compare with what is projected, append."""
