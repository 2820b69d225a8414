"""The safeguards of the service, how to remove each one, and the tests that must then fail.

Each is removed alone, by a small text replacement: a safeguard backed up by another one would otherwise be untested.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CLAIMS = "tests/store/test_claims.py::"
SWEEPS = "tests/store/test_sweeps.py::"
UPDATES = "tests/store/test_updates.py::"
STATES = "tests/autonl_core/run/test_run_state.py::"
SUPERVISOR = "tests/worker/test_supervisor.py::"
SWEEPER = "tests/worker/test_sweeper.py::"
LOCAL_COPY = "tests/autonl_core/datasets/buckets/test_local_copy.py::"
PLACES = "tests/worker/test_dataset_places.py::"
DATABASE = "tests/reliability/test_database.py::"


class Misfit(Exception):
    """The text to replace does not occur exactly once: the code has changed, and this list has to follow."""


@dataclass(frozen=True)
class Safeguard:
    """One safeguard in one place of the code.

    Args:
        removed: a description of the code without it.
        file: path relative to the root of the project.
        edits: pairs of a text that occurs exactly once in `file`, and its replacement.
        tests: pytest node ids of the tests that cover the safeguard.
    """

    name: str
    removed: str
    file: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]

    def remove_from(self, source: str) -> str:
        """`source`, the content of the file, without the safeguard.

        Raises:
            Misfit: a text does not occur exactly once, or the result is not valid Python.
        """
        for old, new in self.edits:
            if (count := source.count(old)) != 1:
                raise Misfit(f"{self.name}: {self.file} contains this text {count} times instead of once: {old!r}")
            source = source.replace(old, new)
        try:
            compile(source, self.file, "exec")
        except SyntaxError as error:
            raise Misfit(f"{self.name}: {self.file} would not be valid Python: {error}") from error
        return source

    def check(self, root: Path) -> None:
        """Raise Misfit if the safeguard cannot be removed from the project at `root`, or a test does not exist."""
        self.remove_from((root / self.file).read_text())
        for test in self.tests:
            file, *_, function = test.split("::")
            if f"def {function}(" not in (root / file).read_text():
                raise Misfit(f"{self.name}: there is no test {test}")


SAFEGUARDS = (
    Safeguard(
        "fence",
        "a write does not check that its fence is the newest",
        "store/leases.py",
        (
            (
                "fenced = Search.id == lease.search_id, Search.fence == lease.fence, ",
                "fenced = Search.id == lease.search_id, ",
            ),
        ),
        (CLAIMS + "TestStaleWriter::test_it_cannot_touch_the_attempt_that_followed",),
    ),
    Safeguard(
        "still-claimed",
        "a write does not check that its search is still claimed",
        "store/leases.py",
        ((", Search.fence == lease.fence, Search.state.in_(CLAIMED)", ", Search.fence == lease.fence"),),
        (CLAIMS + "TestStaleWriter::test_it_cannot_touch_a_final_search",),
    ),
    Safeguard(
        "beat-fence",
        "a beat does not check that its fence is the newest",
        "store/claims.py",
        (
            (
                "Search.fence == lease.fence, Search.state.in_(CLAIMED))\n                .values(beat_at",
                "Search.state.in_(CLAIMED))\n                .values(beat_at",
            ),
        ),
        (CLAIMS + "TestStaleWriter::test_its_beats_and_status_reads_say_that_the_lease_is_lost",),
    ),
    Safeguard(
        "claim",
        "a claim ignores the current state and fence of the search",
        "store/claims.py",
        ((", Search.fence == lease.fence - 1, Search.state.in_(_CLAIMABLE))", ")"),),
        (CLAIMS + "test_a_claim_based_on_an_outdated_row_is_refused",),
    ),
    Safeguard(
        "claim-fence",
        "a claim ignores the current fence of the search",
        "store/claims.py",
        ((", Search.fence == lease.fence - 1, ", ", "),),
        (CLAIMS + "test_no_two_attempts_get_the_same_fence",),
    ),
    Safeguard(
        "claim-state",
        "a claim ignores the current state of the search",
        "store/claims.py",
        (("lease.fence - 1, Search.state.in_(_CLAIMABLE))", "lease.fence - 1)"),),
        (CLAIMS + "test_a_search_paused_just_before_its_claim_stays_paused",),
    ),
    Safeguard(
        "first-beat",
        "a claim is not the first beat: the lease begins with the beat after it",
        "store/claims.py",
        (
            (
                (
                    "                beat_at=moment,\n"
                    "                lease_until=moment + timedelta(seconds=self._settings.lease_s),\n            )"
                ),
                "            )",
            ),
        ),
        (
            CLAIMS + "test_a_claim_is_an_attempt_with_its_first_beat",
            SWEEPS + "test_an_attempt_that_beats_is_not_swept",
        ),
    ),
    Safeguard(
        "claim-without-beat",
        "a claim without a beat never becomes stale",
        "store/sweeps.py",
        (("func.coalesce(Search.lease_until, Search.claimed_at)", "Search.lease_until"),),
        (SWEEPS + "test_the_lease_of_a_claim_without_a_beat_counts_from_the_claim",),
    ),
    Safeguard(
        "sweep",
        "a sweep ends none of the stale attempts that it finds",
        "store/sweeps.py",
        (("for search_id, fence, owner in found:", "for search_id, fence, owner in found[:0]:"),),
        (
            SWEEPS + "test_a_stale_attempt_ends_and_its_search_is_queued_again",
            SWEEPS + "test_a_search_whose_workers_keep_falling_silent_fails_in_the_end",
        ),
    ),
    Safeguard(
        "sweep-checks-again",
        "a sweep does not check whether the attempt has beaten since it was found",
        "store/sweeps.py",
        (("require_lease(session, lease, deadline < now(session))", "require_lease(session, lease)"),),
        (SWEEPS + "test_a_beat_that_comes_just_before_the_repair_keeps_the_lease",),
    ),
    Safeguard(
        "sweeper",
        "the sweeper's process never sweeps",
        "worker/sweeper.py",
        (("for swept in self._stores.sweeps.sweep():", "for swept in []:"),),
        (SWEEPER + "test_a_new_sweeper_gives_every_worker_a_full_lease_to_beat",),
    ),
    Safeguard(
        "patience-at-start",
        "a new sweeper does not wait for a full lease",
        "worker/sweeper.py",
        (("began - self._answering_since >= self._stores.settings.lease_s:", "began - self._answering_since >= 0:"),),
        (SWEEPER + "test_a_new_sweeper_gives_every_worker_a_full_lease_to_beat",),
    ),
    Safeguard(
        "patience-after-outage",
        "the sweeper does not wait for a full lease after an outage of the database",
        "worker/sweeper.py",
        (("            self._answering_since = None\n", ""),),
        (SWEEPER + "test_after_an_outage_a_sweeper_waits_a_full_lease_again",),
    ),
    Safeguard(
        "atomic-save",
        "files are written directly under their final name",
        "autonl_core/files.py",
        (
            ('path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")', "path"),
            ("temporary.unlink(missing_ok=True)", "pass"),
        ),
        (STATES + "test_a_failed_write_leaves_the_old_file_and_no_other",),
    ),
    Safeguard(
        "run-state-sha256",
        "a run state is loaded whatever its SHA-256 is",
        "autonl_core/run/run_state.py",
        (("return None if found == saved.sha256 else", "return None if found else"),),
        (
            STATES + "test_bad_states_are_reported_and_passed_over",
            STATES + "test_weights_that_rotted_are_noticed_although_torch_loads_them",
        ),
    ),
    Safeguard(
        "self-fence",
        "the watchdog of a search process without beats never expires",
        "worker/watchdog.py",
        (("if self.left_s <= 0:", "if self.left_s <= -1e9:"),),
        (SUPERVISOR + "test_without_a_database_the_search_stops_before_its_lease_ends",),
    ),
    Safeguard(
        "orphans",
        "neither the kernel nor the end of its standard input kills an orphan",
        "worker/lifeline.py",
        (("        end_with_parent()", "        pass"), ("os.killpg(0, signal.SIGKILL)", "pass")),
        (SUPERVISOR + "test_a_search_dies_with_its_supervisor_and_continues_with_another",),
    ),
    Safeguard(
        "orphans-by-kernel",
        "the kernel does not kill an orphan",
        "worker/lifeline.py",
        (("        end_with_parent()", "        pass"),),
        (SUPERVISOR + "test_even_a_frozen_search_dies_with_its_supervisor",),
    ),
    Safeguard(
        "orphans-by-input",
        "the end of its standard input does not kill an orphan",
        "worker/lifeline.py",
        (("os.killpg(0, signal.SIGKILL)", "pass"),),
        (SUPERVISOR + "test_an_orphaned_search_kills_itself",),
    ),
    Safeguard(
        "cancel-wins",
        "a search that finishes after its cancel succeeds",
        "store/claims.py",
        (('return outcomes.cancelled(session, search, moment, "the search finished after the cancel")', "pass"),),
        (CLAIMS + "TestFinish::test_a_cancel_that_came_first_wins_but_the_files_stay",),
    ),
    Safeguard(
        "numbered-updates",
        "a repeated update is stored again",
        "store/leases.py",
        (("if search.report_seq >= lease.update_number:", "if False:"),),
        (
            UPDATES + "test_a_numbered_update_is_stored_once_and_each_attempt_counts_from_one",
            DATABASE + "test_a_commit_whose_answer_is_lost_is_repeated_and_stored_once",
        ),
    ),
    Safeguard(
        "numbers-restart",
        "the update numbers of an attempt are compared with those of the previous one, which also began at 1",
        "store/claims.py",
        (("                report_seq=0,\n", ""),),
        (UPDATES + "test_a_numbered_update_is_stored_once_and_each_attempt_counts_from_one",),
    ),
    Safeguard(
        "streak-reset",
        "a new run state does not end the crash streak",
        "store/updates.py",
        (("search.crash_streak = 0", "pass"),),
        (CLAIMS + "TestCrash::test_a_new_run_state_ends_the_streak",),
    ),
    Safeguard(
        "streak-goes-on",
        "saving the same step again ends the crash streak",
        "store/updates.py",
        (("if step > search.saved_step:", "if step:"),),
        (CLAIMS + "TestCrash::test_saving_the_same_step_again_does_not_end_the_streak",),
    ),
    Safeguard(
        "poison-limit",
        "a search that keeps crashing never fails",
        "store/outcomes.py",
        (("if search.crash_streak >= settings.max_crash_streak:", "if False:"),),
        (CLAIMS + "TestCrash::test_too_many_crashes_in_a_row_fail_the_search_and_list_each_of_them",),
    ),
    Safeguard(
        "interruption-limit",
        "a search that silences every worker is tried for ever",
        "store/outcomes.py",
        ((">= settings.max_interruptions:", ">= 10**6:"),),
        (
            CLAIMS
            + "TestInterrupted::test_a_search_that_never_saves_fails_in_the_end_and_a_resume_allows_as_many_again",
        ),
    ),
    Safeguard(
        "late-is-no-crash",
        "a lost lease counts towards the limit of attempts",
        "store/outcomes.py",
        (
            (
                "    search.attempts -= 1\n    _requeue(session, search, moment, f",
                "    _requeue(session, search, moment, f",
            ),
        ),
        (CLAIMS + "TestInterrupted::test_it_is_due_again_at_once_and_counts_as_no_crash",),
    ),
    Safeguard(
        "own-time",
        "time in which a supervisor was stopped counts as time without beats",
        "worker/own_time.py",
        (("min(moment - self._read_at, READ_S + _LATE_S)", "moment - self._read_at"),),
        ("tests/worker/test_own_time.py::test_time_in_which_a_process_was_stopped_hardly_counts",),
    ),
    Safeguard(
        "sweeper-slept",
        "a sweeper that slept ends attempts whose supervisors slept as well",
        "worker/sweeper.py",
        (("if self._sleep.slept() and", "if False and"),),
        (SWEEPER + "test_a_sweeper_that_slept_gives_every_worker_a_full_lease",),
    ),
    Safeguard(
        "save-by-time",
        "slow steps are saved by their number only",
        "autonl_core/run/run_state.py",
        (("self._steps_unsaved >= self._save_steps or ", "self._steps_unsaved >= self._save_steps and "),),
        (STATES + "test_slow_steps_are_saved_by_time",),
    ),
    Safeguard(
        "object-as-listed",
        "an object is taken that was replaced after it was listed",
        "autonl_core/datasets/buckets/objects.py",
        (("        if wanted.has_etag:", "        if False:"),),
        (LOCAL_COPY + "test_an_object_that_is_replaced_or_deleted_after_it_was_listed_is_named",),
    ),
    Safeguard(
        "files-by-etag",
        "a file is known by the size of its object only",
        "autonl_core/datasets/buckets/fetching.py",
        (("hashlib.sha256(wanted.version.encode(", "hashlib.sha256(wanted.name.encode("),),
        (LOCAL_COPY + "test_the_same_content_put_again_is_no_change_and_content_of_the_same_size_is_one",),
    ),
    Safeguard(
        "copy-lock",
        "two processes fetch the same objects",
        "autonl_core/datasets/buckets/local_copy.py",
        (("        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n", ""),),
        (LOCAL_COPY + "test_of_two_that_want_a_copy_at_the_same_time_one_fetches_it",),
    ),
    Safeguard(
        "allowed-places",
        "a check or a search reads any bucket that a row names",
        "worker/dataset_places.py",
        (("if not settings.allows_bucket(location):", "if False:"),),
        (PLACES + "test_what_is_outside_the_allowed_places_is_not_read_even_if_a_row_names_it",),
    ),
    Safeguard(
        "objects-as-checked",
        "a search reads objects that changed since their check",
        "worker/dataset_places.py",
        (("_copy(location, dataset.objects, settings, on_progress)", '_copy(location, "", settings, on_progress)'),),
        (PLACES + "test_a_dataset_that_changed_is_refused_and_not_fetched",),
    ),
)
