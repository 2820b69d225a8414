"""Networks that take no search: what they are, where a search chose one of them."""

from __future__ import annotations

_PLAIN = {  # by the origin of the candidate
    "uniform": "every block alike",
    "widest": "the most parameters that the budget allows",
}


def found_nothing_better(origin: str) -> str | None:
    """What is said of a result of this origin; None if it took a search to find it."""
    plain = _PLAIN.get(origin)
    return None if plain is None else f"The search found nothing better than a plain network: this one has {plain}."
