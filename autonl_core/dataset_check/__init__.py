"""The check of a dataset before it may be used: everything that is wrong with it, at once."""
