"""The pages say what the code says."""

from __future__ import annotations

from benchmarks.tables import DOCS, fill


def test_the_tables_of_the_pages_are_those_that_the_code_computes() -> None:
    for name in ("macs.md", "speed.md"):
        page = (DOCS / name).read_text()
        assert fill(page) == page, f"run `python -m benchmarks.tables`: docs/{name} is out of date"
        assert "<!-- table" in page
