"""A training framework of one function."""
