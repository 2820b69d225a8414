"""The bundle: all files of a result as one zip archive. `autonl_core/bundle` packs it."""

from autonl_core.export.format_spec import FormatSpec

MEMBER = FormatSpec(
    name="bundle",
    file_name="bundle.zip",
    ending=".zip",
    media_type="application/zip",
    summary="all of these, with model card and verify.py",
    order=100,
)
