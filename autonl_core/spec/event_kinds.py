"""Every kind of event that a search can have in its log. What each means, and its detail, is in docs/events.md."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """First those that the store writes with each change of state, then those that the search itself reports."""

    CREATED = "created"
    CLAIMED = "claimed"
    PHASE = "phase"
    ARCHITECTURE = "architecture"
    RUN_STATE_SAVED = "run_state_saved"
    BEST_KEPT = "best_kept"
    SUPERNET_KEPT = "supernet_kept"
    BUDGET_QUEUED = "budget_queued"
    PAUSE_REQUESTED = "pause_requested"
    PAUSED = "paused"
    RESUME_REQUESTED = "resume_requested"
    CANCEL_REQUESTED = "cancel_requested"
    BUDGET_SPENT = "budget_spent"
    CANCELLED = "cancelled"
    REQUEUED = "requeued"
    LEASE_REGAINED = "lease_regained"
    STALE_WRITE_REFUSED = "stale_write_refused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    FILES_DELETED = "files_deleted"
    LABELS_CHANGED = "labels_changed"

    UNREADABLE_IMAGES = "unreadable_images"
    IMAGES_DECODED_IN_EVERY_EPOCH = "images_decoded_in_every_epoch"
    TEACHER_ADAPTED = "teacher_adapted"
    RESOLUTION_TRIED = "resolution_tried"
    RESOLUTION_CHOSEN = "resolution_chosen"
    SUPERNET_NOT_KEPT = "supernet_not_kept"
    RESUMED = "resumed"
    INEXACT_RESUME = "inexact_resume"
    CHECKPOINT_CORRUPT = "checkpoint_corrupt"
    MICRO_BATCHES = "micro_batches"
    CANDIDATES_SCORED = "candidates_scored"
    CANDIDATE_OUT_OF_MEMORY = "candidate_out_of_memory"
    DERIVED_WITHOUT_FINAL = "derived_without_final"
    FINALISTS_HALVED = "finalists_halved"
    BASELINE_TRAINED = "baseline_trained"
    BEST_NOT_KEPT = "best_not_kept"
    REPORT_FAILED = "report_failed"
