"""Programs that every bundle contains. They import nothing from this package, which users do not have.

`pixels.py` is the exception: what it imports is written into the file that is shipped (`bundle/one_module.py`).
"""
