"""Names of columns whose values say which images belong together: those of one patient, session or camera."""

from __future__ import annotations

import re

_ID = r"[ _-]*(?:ids?|no|nr|num|number|key|uid|uuid|identifier)"
_ANY_ID = r"(?:[ _-]*(?:ids?|no|nr|num|number|key|uid|uuid|identifier|name|code))?"

_UNITS = (
    "patients?|subjects?|persons?|people|participants?|individuals?|volunteers?|donors?|owners?|users?|"
    "patienten|proband|probanden|sujets?|pacientes?|paziente|患者|被试|病人|환자"
)
_NUMBERED_UNITS = "animal|plant|tree|dog|cat|cow|specimen|sample|object|part|product|item|house|vehicle"
_OCCASIONS = "sessions?|visits?|videos?|clips?|sequences?|recordings?|acquisitions?|sitzung|séance|sesión"
_NUMBERED_OCCASIONS = "lesion|case|study|series|exam|examination|scan|slide|tile|volume|scene|burst"
_PLACES = "cameras?|camera[ _-]*traps?|kamera|caméra|cámara|traps?|stations?|hospitals?|clinics?"
_NUMBERED_PLACES = "site|location|center|centre|plot|device|scanner"

# By how much the images of one value have in common, most first. Some words say so only with a number: `plant_id`.
_RANKS = tuple(
    re.compile(f"(?:{plain}){_ANY_ID}|(?:{numbered}){_ID}", re.IGNORECASE)
    for plain, numbered in (
        (f"{_UNITS}|pid", _NUMBERED_UNITS),
        (_OCCASIONS, _NUMBERED_OCCASIONS),
        (_PLACES, _NUMBERED_PLACES),
    )
)


def group_rank(column: str) -> int | None:
    """How closely images of one value belong together, 0: most closely. None: the name says no such thing."""
    return next((rank for rank, names in enumerate(_RANKS) if names.fullmatch(column.strip())), None)
