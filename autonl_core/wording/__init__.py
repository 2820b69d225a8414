"""What may be said, and how: whether figures bear a statement, and counts with their nouns. Pure functions."""
