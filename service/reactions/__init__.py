"""Tells other systems and people what happens: rules, each a subscription and where its answers go."""
