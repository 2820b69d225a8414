"""Everything a dataset check can report: one table of codes, severities and texts.

`{}` fields of a text are filled in by the function that reports the finding. A source that cannot be opened is reported
under the code `KIND_refused`, with the reason that the source gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from autonl_core.dataset_check import name_findings
from autonl_core.datasets.check_report import DatasetReport, Severity

LONG_SIDES = 4  # times the shorter side, above which an aspect ratio is extreme
FEW_TRAINING_IMAGES = 20  # in a class
_WHERE_PAIRS_ARE = "The first 100 pairs are in `pairs` of the JSON that `autonl dataset show NAME --json` prints"
_IF_MIRRORING_IS_RIGHT = (
    'if a mirrored image still shows its class, start a search with "augment": {{"horizontal_flip": true}} '
    "(in the page: mirrored images in training, yes)"
)
_IF_MIRRORING_IS_WRONG = (
    'if a mirrored image shows another class, start a search with "augment": {{"horizontal_flip": false}} '
    "(in the page: mirrored images in training, no)"
)


class Finding(Enum):
    """Code, severity and text."""

    # Names of files and folders
    NO_CLASS_FOLDERS = name_findings.NO_CLASS_FOLDERS
    LAYOUT_AMBIGUOUS = name_findings.LAYOUT_AMBIGUOUS
    LAYOUT_REFUSED = name_findings.LAYOUT_REFUSED
    EMPTY_CLASSES = name_findings.EMPTY_CLASSES
    LAYOUT_CHOSEN = name_findings.LAYOUT_CHOSEN
    LABEL_FILES = name_findings.LABEL_FILES
    SYNSETS_NAMED = name_findings.SYNSETS_NAMED
    LABELS_WITHOUT_IMAGE = name_findings.LABELS_WITHOUT_IMAGE
    LABELS_OF_SEVERAL_IMAGES = name_findings.LABELS_OF_SEVERAL_IMAGES
    IMAGES_WITHOUT_LABEL = name_findings.IMAGES_WITHOUT_LABEL
    SEVERAL_LABELS = name_findings.SEVERAL_LABELS
    SYSTEM_FILES = name_findings.SYSTEM_FILES
    FOREIGN_IMAGES = name_findings.FOREIGN_IMAGES
    NESTED_ARCHIVES = name_findings.NESTED_ARCHIVES
    NOT_IMAGES = name_findings.NOT_IMAGES
    WRAPPING_FOLDER = name_findings.WRAPPING_FOLDER
    VALIDATION_JOINS_TRAINING = name_findings.VALIDATION_JOINS_TRAINING
    VALIDATION_IS_TEST = name_findings.VALIDATION_IS_TEST
    TEST_SPLIT_DRAWN = name_findings.TEST_SPLIT_DRAWN
    TEST_SPLIT_BY_GROUP = name_findings.TEST_SPLIT_BY_GROUP
    GROUPS_ACROSS_SPLITS = name_findings.GROUPS_ACROSS_SPLITS
    FOLDERS_WITHOUT_IMAGES = name_findings.FOLDERS_WITHOUT_IMAGES
    HIDDEN_CLASSES = name_findings.HIDDEN_CLASSES
    LINKS_NOT_FOLLOWED = name_findings.LINKS_NOT_FOLLOWED
    FOLDERS_INSIDE_CLASSES = name_findings.FOLDERS_INSIDE_CLASSES
    OUTSIDE_CLASS_FOLDERS = name_findings.OUTSIDE_CLASS_FOLDERS
    SUSPICIOUS_CLASS_NAMES = name_findings.SUSPICIOUS_CLASS_NAMES
    SIMILAR_CLASS_NAMES = name_findings.SIMILAR_CLASS_NAMES
    SPLIT_INSIDE_CLASS = name_findings.SPLIT_INSIDE_CLASS

    # Images
    UNREADABLE_IMAGES = (
        "unreadable_images",
        "warning",
        "files that cannot be read as images; not used. Save them again, or remove them. Why: {reasons}",
    )
    ANIMATED = (
        "animated",
        "warning",
        (
            "images with several frames or pages: only the first, or the main one of a HEIF file, is used; save the "
            "others as separate files"
        ),
    )
    CMYK = ("cmyk", "info", "CMYK images, which are converted to RGB without a colour profile")
    DEEP = (
        "deep",
        "info",
        (
            "grey images with more than 8 bits, or whose white is not 255: {low} becomes black and {high} white in all "
            "of them, as found in the training images; the values between these ({values}) become 256 grey levels, "
            "of which the usual image spans {levels}"
        ),
    )
    DEEP_COLOUR = (
        "deep_colour",
        "info",
        "colour images with more than 8 bits per channel, of which the upper 8 are used",
    )
    FEW_GREY_LEVELS = (
        "few_grey_levels",
        "warning",
        (
            "nearly all contrast is lost: in 8 bits, the usual deep image spans {levels} of 256 grey levels. Save the "
            "images with 8 bits, scaled to the values that matter, or remove those with quite different values"
        ),
    )
    DEPTH_BY_CLASS = (
        "depth_by_class",
        "warning",
        (
            "all images of some classes have more than 8 bits, and none of others: a network can learn the kind of "
            "file instead of what it shows; save all images in one kind"
        ),
    )
    DAMAGED_METADATA = (
        "damaged_metadata",
        "info",
        (
            "images whose metadata (EXIF, colour profile, comments) or end marker are damaged: their pixels are used, "
            "and what cannot be read is left out, which may include how the camera was held"
        ),
    )
    ALPHA = ("alpha", "info", "transparent images, which are blended with white")
    EXIF_ROTATION = ("exif_rotation", "info", "photos that are rotated or mirrored as their EXIF orientation says")
    EXTREME_SIZES = (
        "extreme_sizes",
        "warning",
        "images much larger or smaller than the usual {usual:g} pixels; check whether they belong to the dataset",
    )
    EXTREME_ASPECT_RATIOS = (
        "extreme_aspect_ratios",
        "warning",
        f"images more than {LONG_SIDES} times as long as wide: a network gets only the square at their centre",
    )

    # Duplicates
    DUPLICATES_ACROSS_SPLITS = (
        "duplicates_across_splits",
        "warning",
        (
            "training images that show the same picture as a test image: the same bytes, or pixels that differ by no "
            "more than compression, resizing or a crop by a pixel changes; not used for training, because leakage "
            "would inflate the test accuracy. Remove them from one of the splits, or use them all the same: add the "
            f"images under another name with duplicates=keep (--duplicates keep). {_WHERE_PAIRS_ARE}. First: {{train}} "
            "shows the same picture as {test} (distance {distance:g} of 255 levels)"
        ),
    )
    DUPLICATES_KEPT = (
        "duplicates_kept",
        "warning",
        (
            "training images that show the same picture as a test image, which are used all the same, as "
            f"duplicates=keep asks for: test accuracy is inflated by leakage. {_WHERE_PAIRS_ARE}. First: {{train}} "
            "shows the same picture as {test} (distance {distance:g} of 255 levels)"
        ),
    )
    DUPLICATES_IN_SEVERAL_CLASSES = (
        "duplicates_in_several_classes",
        "warning",
        "the same picture in folders of different classes: at least one label is wrong; keep the picture in one class",
    )
    EXACT_DUPLICATES = (
        "exact_duplicates",
        "warning",
        "files with the same bytes as another file; they {effect} and have double weight in training",
    )
    NEAR_DUPLICATES = (
        "near_duplicates",
        "info",
        (
            "pictures whose pixels match those of another one (recompressed, resized or cropped by a pixel); they "
            "{effect}"
        ),
    )
    NOT_COMPARED = (
        "not_compared",
        "warning",
        (
            "images that look alike, and whose pixels could not be compared; they are treated as different pictures. "
            "First: {first} and {second}: {problem}"
        ),
    )
    IMAGES_ALIKE = (
        "images_alike",
        "info",
        (
            "a large share of the images is very similar, such as video frames or scanned digits: only those that "
            "match in every detail when reduced to 16 by 16 pixels were compared pixel by pixel; copies that differ "
            "more may not be found"
        ),
    )

    # Classes
    CLASS_SETS_DIFFER = (
        "class_sets_differ",
        "error",
        "classes with a folder in {split} but none in {other}; add the missing folder, or remove the class",
    )
    CLASS_TOO_SMALL = (
        "class_too_small",
        "error",
        "classes with too few usable images; every class needs {needed}: add images, or remove the class",
    )
    FEW_IMAGES = (
        "few_images",
        "warning",
        f"classes with fewer than {FEW_TRAINING_IMAGES} training images, on which accuracy will be low; add images",
    )
    IMBALANCE = (
        "imbalance",
        "warning",
        (
            "the largest class has {largest:,} training images, the smallest {smallest:,}: a network will favour the "
            "large classes; add images to the small ones, or show every class equally often in training: "
            '"train": {{"class_balanced": true}} in the request of a search, or the box "Show every class equally '
            'often" of the form'
        ),
    )

    # Mirroring
    MIRRORED_CLASS_NAMES = (
        "mirrored_class_names",
        "info",
        (
            "by their names, these classes are each other's mirror image: {pairs}. Searches do not mirror training "
            f"images of this dataset; {_IF_MIRRORING_IS_RIGHT}"
        ),
    )
    MIRRORED_CLASSES = (
        "mirrored_classes",
        "info",
        (
            "mirrored training images look like another class: of {images}, {wrong} are nearest to their own class, "
            "but nearer to a mirrored image of another one, and {right} the other way round; most often {pairs}. "
            f"Searches do not mirror training images of this dataset; {_IF_MIRRORING_IS_RIGHT}"
        ),
    )
    MIRRORED_GLYPHS = (
        "mirrored_glyphs",
        "info",
        (
            "the classes are named like {glyphs}, and mirrored ones look different: of {images}, {recognised} are "
            "nearest to their own class among all as they are, and {mirrored} among mirrored ones. Searches do not "
            f"mirror training images of this dataset; {_IF_MIRRORING_IS_RIGHT}"
        ),
    )
    MIRRORING_DOUBTFUL = (
        "mirroring_doubtful",
        "warning",
        (
            "some mirrored training images may look like another class: of {images}, {wrong} are nearest to their own "
            "class, but nearer to a mirrored image of another one, and {right} the other way round; most often "
            f"{{pairs}}. Searches mirror training images of this dataset; {_IF_MIRRORING_IS_WRONG}"
        ),
    )
    MIRRORING_OF_LETTERS = (
        "mirroring_of_letters",
        "warning",
        (
            "the classes are named like letters, and searches mirror training images, because nothing in the images "
            f"speaks against it; {_IF_MIRRORING_IS_WRONG}"
        ),
    )

    def __init__(self, code: str, severity: Severity, text: str) -> None:
        self.code = code
        self.severity: Severity = severity
        self.text = text

    def add_to(
        self, report: DatasetReport, files: Sequence[str] = (), count: int | None = None, **values: object
    ) -> None:
        """Report this finding about `files`; `count` is 0 if it concerns the whole dataset. `values` fill the text."""
        report.add(self.severity, self.code, self.text.format(**values), files, count)
