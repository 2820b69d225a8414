"""Processes: the Celery worker, one supervised child per search, the sweeper. Only `child.py` loads tensor code."""
