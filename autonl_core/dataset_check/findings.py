"""Everything a dataset check can report: one table of codes, severities and texts.

`{}` fields of a text are filled in by the function that reports the finding. A source that cannot be opened is reported
under the code `KIND_refused`, with the reason that the source gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from autonl_core.datasets.check_report import DatasetReport, Severity

LONG_SIDES = 4  # times the shorter side, above which an aspect ratio is extreme
FEW_TRAINING_IMAGES = 20  # in a class


class Finding(Enum):
    """Code, severity and text."""

    # Names of files and folders
    NO_CLASS_FOLDERS = ("no_class_folders", "error", "{reason}")
    LAYOUT_AMBIGUOUS = ("layout_ambiguous", "error", "{reason}")
    EMPTY_CLASSES = (
        "empty_classes",
        "error",
        "class folders without a usable image, whose classes would be missing: add images, or remove these folders",
    )
    LAYOUT_CHOSEN = ("layout_chosen", "info", "read as you chose: layout={layout}")
    LABEL_FILES = (
        "label_files",
        "info",
        "the class of every image is what these files say; the folders of the images do not name classes",
    )
    SYNSETS_NAMED = ("synsets_named", "info", "class folders are WordNet identifiers, whose names this file has")
    LABELS_WITHOUT_IMAGE = (
        "labels_without_image",
        "warning",
        "images that a file of labels names, and that are not there (or more than one is called so)",
    )
    IMAGES_WITHOUT_LABEL = ("images_without_label", "warning", "images that no file of labels gives a class; not used")
    SEVERAL_LABELS = (
        "several_labels",
        "warning",
        "images with more than one class, which a classifier cannot learn; not used. Keep one class for each",
    )
    SYSTEM_FILES = (
        "system_files",
        "info",
        (
            "hidden files, or what operating systems, file servers and photo managers write for their own use, such "
            "as thumbnails and bins; not used"
        ),
    )
    FOREIGN_IMAGES = (
        "foreign_images",
        "warning",
        "pictures or videos in formats that are not supported; not used. Convert them to JPEG, PNG or WebP",
    )
    NESTED_ARCHIVES = (
        "nested_archives",
        "warning",
        "archives inside the dataset are never opened; if they contain images, unpack them into class folders",
    )
    NOT_IMAGES = (
        "not_images",
        "warning",
        "files that are no images by their suffix, or by their content where the suffix does not say; not used",
    )
    WRAPPING_FOLDER = ("wrapping_folder", "info", "everything is in the folder {folder!r}, which is skipped")
    VALIDATION_JOINS_TRAINING = (
        "validation_joins_training",
        "info",
        "images in {folders} are added to the training images; a search draws its own validation images",
    )
    VALIDATION_IS_TEST = (
        "validation_is_test",
        "info",
        (
            "there is no test split: the images in {folders} are the test split; a search draws its own validation "
            "images from the training images"
        ),
    )
    TEST_SPLIT_DRAWN = (
        "test_split_drawn",
        "info",
        "{folder!r} is the only split: a fifth of each class is drawn from it, always the same, as the test split",
    )
    FOLDERS_WITHOUT_IMAGES = (
        "folders_without_images",
        "warning",
        "folders next to those of the classes that hold only documents; they are not classes",
    )
    HIDDEN_CLASSES = (
        "hidden_classes",
        "warning",
        "folders of images next to those of the classes whose names begin with a dot: hidden, and not classes",
    )
    LINKS_NOT_FOLLOWED = (
        "links_not_followed",
        "warning",
        (
            "links to folders that lead out of what the service may read; their images are not used. If one stands "
            "for a class, put the folder in its place"
        ),
    )
    FOLDERS_INSIDE_CLASSES = (
        "folders_inside_classes",
        "warning",
        (
            "folders inside class folders, whose images belong to the class around them. If these folders are the "
            "classes, choose a layout such as */CLASS"
        ),
    )
    OUTSIDE_CLASS_FOLDERS = (
        "outside_class_folders",
        "warning",
        "images outside class folders; not used. Move them into the folder of their class",
    )
    SUSPICIOUS_CLASS_NAMES = (
        "suspicious_class_names",
        "warning",
        "class folders whose names do not look like classes; rename them, or remove those that are not",
    )
    SIMILAR_CLASS_NAMES = (
        "similar_class_names",
        "warning",
        (
            "class names that differ only in case, spaces or the encoding of accents: {names}. They are different "
            "classes; if they should be one, give both folders the same name"
        ),
    )
    SPLIT_INSIDE_CLASS = (
        "split_inside_class",
        "warning",
        (
            "images in a folder named like a split inside a class folder, which is treated as part of the class. "
            "Splits go above the classes: train/CLASS/image and test/CLASS/image"
        ),
    )

    # Images
    UNREADABLE_IMAGES = (
        "unreadable_images",
        "warning",
        "files that cannot be read as images; not used. Save them again, or remove them. First: {first}: {problem}",
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
            "training images that show the same picture as a test image; not used for training, because leakage would "
            "inflate the test accuracy. Remove them from one of the splits. First: {train} shows the same picture as "
            "{test}"
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
        "files with the same bytes as another file; they stay in one split and have double weight in training",
    )
    NEAR_DUPLICATES = (
        "near_duplicates",
        "info",
        "pictures that look the same as another one (recompressed, resized or cropped); they stay in one split",
    )
    IMAGES_ALIKE = (
        "images_alike",
        "info",
        (
            "a large share of the images is very similar, such as video frames or scanned digits: only those that "
            "match in every detail (descriptor distance {distance:g}) are treated as duplicates"
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
            "large classes; add images to the small ones, or balance the classes in training"
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
