"""Contact sheets: for each class one picture with a sample of its images, for people to inspect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from autonl_core.data.decode import Images, fit, upright
from autonl_core.datasets.check_report import MAX_SHEETS
from autonl_core.datasets.data_source import FileSource
from autonl_core.datasets.image_files import read_opened
from autonl_core.datasets.items import Item
from autonl_core.datasets.limits import Limits
from autonl_core.datasets.plain_jpeg import decode_plain_jpeg
from autonl_core.datasets.spec import GreyRange

COLUMNS, ROWS = 8, 3
TILE_PX, GAP_PX = 64, 2


def write_sheets(
    files: FileSource,
    classes: Sequence[str],
    items: Sequence[Item],
    folder: Path,
    limits: Limits,
    grey_range: GreyRange | None = None,
) -> list[Path]:
    """Write a JPEG file for each of the first `MAX_SHEETS` classes, named by its label."""
    by_class: list[list[str]] = [[] for _ in classes]
    for item in items:
        by_class[item.label].append(item.member)
    paths = []
    for label, members in enumerate(by_class[:MAX_SHEETS]):
        shown = members[:: max(1, -(-len(members) // (COLUMNS * ROWS)))]
        path = folder / f"{label}.jpg"
        _sheet(files, shown, limits, grey_range).save(path, "JPEG", quality=85)
        paths.append(path)
    return paths


def _sheet(files: FileSource, members: Sequence[str], limits: Limits, grey_range: GreyRange | None) -> Image.Image:
    step = TILE_PX + GAP_PX
    rows = -(-len(members) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * step - GAP_PX, rows * step - GAP_PX), "white")
    for place, member in enumerate(members):
        tile = _tile(files.read(member), limits, grey_range)
        sheet.paste(Image.fromarray(tile), (place % COLUMNS * step, place // COLUMNS * step))
    return sheet


def _tile(data: bytes, limits: Limits, grey_range: GreyRange | None) -> Images:
    """The square that a network gets, (TILE_PX, TILE_PX, 3)."""
    if (decoded := decode_plain_jpeg(data, 2 * TILE_PX, limits)) is not None:
        return fit(decoded[1], TILE_PX)

    def pixels(image: Image.Image) -> Images:
        image.draft("RGB", (2 * TILE_PX, 2 * TILE_PX))
        return fit(upright(image), TILE_PX, grey_range)

    return read_opened(data, limits, pixels)[0]
