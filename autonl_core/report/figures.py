"""How a report writes numbers."""

from __future__ import annotations

from autonl_core.wording.evidence import wilson_pct

_SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def short(number: float, digits: int = 3) -> str:
    """4470272 -> "4.47M": three digits, or so many."""
    for size, suffix in _SUFFIXES:
        if abs(number) >= size:
            return f"{number / size:.{digits}g}{suffix}" if number < 1000 * size else f"{number / size:,.0f}{suffix}"
    return f"{number:,.0f}"


def short_bytes(number: int) -> str:
    """186704 -> "187 kB"."""
    text = short(number)
    return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"


def pct(value: float, digits: int = 1) -> str:
    """79.6 -> "79.6%"."""
    return f"{value:.{digits}f}%"


def share(correct: int, images: int) -> str:
    """ "79.6% (1,592 of 2,000; 95% interval 77.8% to 81.3%)"."""
    low, high = wilson_pct(correct, images)
    return f"{pct(100 * correct / images)} ({correct:,} of {images:,}; 95% interval {pct(low)} to {pct(high)})"


def duration(seconds: float) -> str:
    """ "3 min 20 s"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
