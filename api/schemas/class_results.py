"""What a network recognises of each class."""

from __future__ import annotations

from api.schemas.base import View, mirrors
from autonl_core.spec.result import ClassResult


@mirrors(
    ClassResult,
    descriptions={
        "correct": "test images of the class that are recognised",
        "predicted": "test images of any class that are predicted to be of it",
    },
)
class ClassResultView(View):
    """Images of one class, and how many of them the network recognises."""
