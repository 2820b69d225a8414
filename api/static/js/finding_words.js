// The findings of a dataset check in words: a title for each, and what it lists.

import { counted } from "./format.js";

export const TITLES = {
  alpha: "Transparent images",
  animated: "Images with several frames",
  class_sets_differ: "Classes that a split lacks",
  class_too_small: "Classes with too few images",
  cmyk: "CMYK images",
  damaged_metadata: "Damaged metadata",
  deep: "Grey images with more than 8 bits",
  deep_colour: "Colour images with more than 8 bits",
  depth_by_class: "Some classes have more bits than others",
  duplicates_across_splits: "The same picture in training and test",
  duplicates_in_several_classes: "The same picture in several classes",
  duplicates_kept: "The same picture in training and test, kept",
  empty_classes: "Classes without images",
  exact_duplicates: "Files with the same bytes",
  exif_rotation: "Photos turned upright",
  extreme_aspect_ratios: "Very long or very tall images",
  extreme_sizes: "Much larger or smaller images",
  few_grey_levels: "Little contrast is left",
  few_images: "Classes with few images",
  folders_inside_classes: "Folders inside classes",
  folders_without_images: "Folders without images",
  foreign_images: "Formats that are not supported",
  groups_across_splits: "The same patients, or other groups, in training and test",
  hidden_classes: "Hidden folders of images",
  images_alike: "Many images are very similar",
  images_without_label: "Images without a label",
  imbalance: "Classes of very different size",
  label_files: "Classes come from a file of labels",
  labels_of_several_images: "Labels of several images",
  labels_without_image: "Labels without an image",
  layout_ambiguous: "The files can be read in several ways",
  layout_chosen: "The layout that you chose",
  layout_refused: "The layout does not fit the files",
  links_not_followed: "Links that were not followed",
  mirrored_class_names: "Classes that mirror each other, by their names",
  mirrored_classes: "Mirrored images show another class",
  mirrored_glyphs: "Mirrored characters are other characters",
  mirroring_doubtful: "Mirrored images may show another class",
  mirroring_of_letters: "Letters are mirrored in training",
  near_duplicates: "Nearly the same pictures",
  nested_archives: "Archives inside the dataset",
  no_class_folders: "No class folders",
  not_compared: "Images that could not be compared",
  not_images: "Files that are no images",
  outside_class_folders: "Images outside class folders",
  several_labels: "Images with several labels",
  similar_class_names: "Class names that are nearly alike",
  split_inside_class: "A split inside a class",
  suspicious_class_names: "Names that are hardly classes",
  synsets_named: "WordNet classes with their names",
  system_files: "Files of operating systems",
  test_split_by_group: "Groups stay in one split",
  test_split_drawn: "A test split was drawn",
  unreadable_images: "Images that cannot be read",
  validation_is_test: "The validation split is the test split",
  validation_joins_training: "Validation images join training",
  wrapping_folder: "A folder around everything",
};

const OF_CLASSES = new Set([
  "class_sets_differ", "class_too_small", "few_images", "similar_class_names", "suspicious_class_names",
]);
const OF_FOLDERS = new Set(["empty_classes", "folders_inside_classes", "folders_without_images", "hidden_classes", "links_not_followed"]);

/** What a finding is about; one that is newer than this page has the words of its code. */
export const findingTitle = (code) => TITLES[code] ?? code.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());

/** How many files, folders or classes a finding lists: "1 class". */
export const findingCount = (code, count) => counted(count, OF_CLASSES.has(code) ? "class" : OF_FOLDERS.has(code) ? "folder" : "file");
