"""The check that a dataset must pass before it is used: reports all problems at once."""
