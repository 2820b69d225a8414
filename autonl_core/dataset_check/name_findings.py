"""What a check reports about the names of files and folders: code, severity and text of each finding."""

from __future__ import annotations

NO_CLASS_FOLDERS = ("no_class_folders", "error", "{reason}")
LAYOUT_AMBIGUOUS = ("layout_ambiguous", "error", "{reason}")
LAYOUT_REFUSED = ("layout_refused", "error", "{reason}")
EMPTY_CLASSES = (
    "empty_classes",
    "error",
    (
        "class folders without a usable image, whose classes would be missing: add images, or remove these folders, "
        "and add the dataset again"
    ),
)
LAYOUT_CHOSEN = ("layout_chosen", "info", "read as you chose: layout={layout}")
LABEL_FILES = (
    "label_files",
    "info",
    "the class of every image is what {source}; the folders of the images do not name classes{others}",
)
SYNSETS_NAMED = ("synsets_named", "info", "class folders are WordNet identifiers, whose names this file has")
LABELS_WITHOUT_IMAGE = (
    "labels_without_image",
    "warning",
    "images that a file of labels names, and that are not in the dataset; add them, or remove these rows",
)
LABELS_OF_SEVERAL_IMAGES = (
    "labels_of_several_images",
    "warning",
    (
        "names in a file of labels that several images in different folders have, so that it is not clear which one is "
        "meant; these images are not used. Write the names with their folders, such as left/1.jpg"
    ),
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
    (
        "{source}: a fifth of each class is set aside as the test split, always the same images; to choose them "
        "yourself, add folders train/ and test/"
    ),
)
TEST_SPLIT_BY_GROUP = (
    "test_split_by_group",
    "info",
    (
        "the test split was drawn by {column!r} of {file}: images of one value are either all in the training split or "
        "all in the test split, so that the test accuracy is that on values that training has not seen"
    ),
)
GROUPS_ACROSS_SPLITS = (
    "groups_across_splits",
    "warning",
    (
        "test images whose {column!r} in {file} is also that of training images ({shared} of {total} values, such as "
        "{first!r}): a network may recognise these instead of the class, and its test accuracy may be too high; "
        "{way_out}"
    ),
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
