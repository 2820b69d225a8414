"""Processes: the Celery worker, the sweeper, the checker, the sender of webhooks, and one supervised process per search
or dataset check.

Only `search_process.py`, with `search_work.py`, and `check_process.py` load tensor code.
"""
