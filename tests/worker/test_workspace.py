"""The folders of a search: files left by earlier attempts are deleted, and nothing else."""

from __future__ import annotations

from pathlib import Path

from store.settings import Settings
from worker.workspace import Workspace


def test_only_unreferenced_files_of_earlier_attempts_are_deleted(tmp_path: Path) -> None:
    workspace = Workspace(Settings(data_dir=tmp_path), "a1")
    for fence in (1, 2, 3, 4):
        for name in ("state-000001.pt", "state-000002.pt", ".state-000003.pt.77.tmp"):
            (workspace.attempt_dir(fence) / name).write_text("x")
    bundle = workspace.attempt_dir(1) / "bundle"
    bundle.mkdir()
    (bundle / "model.onnx").write_text("x")
    workspace.log_path(1).write_text("said")
    named = workspace.relative(workspace.attempt_dir(2) / "state-000002.pt")
    workspace.delete_unreferenced(3, [named])
    left = {str(path.relative_to(workspace.log_path(1).parent)) for path in workspace.log_path(1).parent.rglob("*.*")}
    assert left == {"attempt-0001.log", "attempt-0002/state-000002.pt"} | {
        f"attempt-000{fence}/{name}"
        for fence in (3, 4)  # the attempt itself, and one that may have replaced it in the meantime
        for name in ("state-000001.pt", "state-000002.pt", ".state-000003.pt.77.tmp")
    }
    assert not (workspace.log_path(1).parent / "attempt-0001").exists()
