"""Names as fields of settings: what follows no rule is refused by the rule in words."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from autonl_core.spec.names import NAME_PATTERN, NAME_RULE


def in_words(pattern: str, rule: str) -> AfterValidator:
    """Refuses what does not match `pattern`, by `rule`; Pydantic's own message would show the pattern."""

    def check(text: str) -> str:
        if re.fullmatch(pattern.strip("^$"), text) is None:
            raise PydanticCustomError("string_pattern_mismatch", "{rule}", {"rule": rule})
        return text

    return AfterValidator(check)


Name = Annotated[str, in_words(NAME_PATTERN, NAME_RULE), WithJsonSchema({"type": "string", "pattern": NAME_PATTERN})]
