"""Alembic migrations of the tables in `store/models.py`, oldest first."""
