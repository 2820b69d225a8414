"""The table of findings: codes and severities are part of the API, texts can be completed and read."""

from __future__ import annotations

from autonl_core.dataset_check.findings import Finding
from autonl_core.datasets.check_report import DatasetReport

ERRORS = {
    "no_class_folders",
    "layout_ambiguous",
    "layout_refused",
    "empty_classes",
    "class_too_small",
    "class_sets_differ",
}
WARNINGS = {
    "unreadable_images", "duplicates_across_splits", "duplicates_in_several_classes",
    "duplicates_kept", "exact_duplicates", "not_compared", "few_images",
    "imbalance", "extreme_sizes", "extreme_aspect_ratios", "animated", "not_images", "nested_archives",
    "outside_class_folders", "split_inside_class", "suspicious_class_names", "similar_class_names",
    "labels_without_image", "images_without_label", "several_labels", "foreign_images", "folders_without_images",
    "hidden_classes", "folders_inside_classes", "links_not_followed", "mirroring_doubtful", "mirroring_of_letters",
    "few_grey_levels", "depth_by_class", "labels_of_several_images", "groups_across_splits",
}  # fmt: skip
INFOS = {
    "near_duplicates", "images_alike", "cmyk", "deep", "alpha", "exif_rotation", "system_files", "wrapping_folder",
    "validation_joins_training", "validation_is_test", "test_split_drawn", "layout_chosen", "label_files",
    "synsets_named", "mirrored_class_names", "mirrored_classes", "mirrored_glyphs",
    "deep_colour", "damaged_metadata", "test_split_by_group",
}  # fmt: skip


def test_codes_and_severities_never_change() -> None:
    expected = {
        severity: sorted(codes) for severity, codes in (("error", ERRORS), ("warning", WARNINGS), ("info", INFOS))
    }
    found: dict[str, list[str]] = {}
    for finding in Finding:
        found.setdefault(finding.severity, []).append(finding.code)
    assert {severity: sorted(codes) for severity, codes in found.items()} == expected
    assert [finding.name.lower() for finding in Finding] == [finding.code for finding in Finding]


def test_a_finding_is_reported_with_its_files_and_values() -> None:
    report = DatasetReport()
    Finding.IMBALANCE.add_to(report, count=0, largest=12345, smallest=7)
    Finding.SIMILAR_CLASS_NAMES.add_to(report, ["{cat}", "Cat"], names="'{cat}' and 'Cat'")  # braces stay braces
    imbalance, similar = report.problems
    assert (imbalance.severity, imbalance.code, imbalance.count) == ("warning", "imbalance", 0)
    assert "12,345 training images, the smallest 7:" in imbalance.detail
    assert (similar.files, similar.count) == (["{cat}", "Cat"], 2)
    assert "'{cat}' and 'Cat'" in similar.detail
