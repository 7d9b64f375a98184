"""What happens to a delivery from its POST until it is safe: read, appended in batches, or spooled."""
