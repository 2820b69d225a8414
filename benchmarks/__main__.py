"""The measurement that needs nothing but the machine: what a search step costs."""

from __future__ import annotations

import sys

from benchmarks import search_step

if __name__ == "__main__":
    sys.exit(search_step.main())
