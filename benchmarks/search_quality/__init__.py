"""Is the search worth its compute? Three tiers, from seconds to days.

`tabular`: ways to search in a table of networks that others trained. `quick` and `full`: our search and its rivals on
real images, all with the same compute (`arms.py`), one JSON line per trained network (`runs.py`), and a verdict against
every rival (`verdicts.py`).
"""
