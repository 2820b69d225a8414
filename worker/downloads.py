"""How files are sent to users by a bucket, which knows nothing of searches."""

from __future__ import annotations

from autonl_core.spec.file_names import network_name
from autonl_core.spec.formats import FORMATS
from store.artifacts import PLAIN, ServedAs


def served_as_format(kind: str, dataset: str, arch_id: str) -> ServedAs:
    """A file of a network in the format `kind`, named as by the API; any other file without a name."""
    facts = FORMATS.get(kind)
    return PLAIN if facts is None else ServedAs(facts.media_type, network_name(dataset, arch_id) + facts.ending)
