"""Problems of models and their aliases."""

from __future__ import annotations

from api.problems import declare

CANNOT_ROLL_BACK = declare(
    "cannot-roll-back",
    409,
    "The alias cannot be rolled back",
    "The number of a rollback is that of the promotion to undo, which has to be the current one: so a repeated request "
    "undoes nothing twice. `detail` says what the alias stands for, or why there is nothing to go back to.",
    "promotion 3 of products@prod is the current one, not 2; look at what it stands for now, and name that number to "
    "undo it",
)
TOO_MANY_ALIASES = declare(
    "too-many-aliases",
    409,
    "Too many aliases",
    "Remove aliases of models that are no longer needed.",
    "there are 1,000 aliases of models, and at most 1,000 are possible; remove one",
)
