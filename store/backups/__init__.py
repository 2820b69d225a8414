"""Backups: a consistent copy of the database and of all files that its rows name, and the way back."""
