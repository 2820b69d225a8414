"""Where there is no browser, that is said with the way to get one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser import chromium


def test_the_first_program_on_the_path_is_used_unless_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(chromium.NoChromium, match="apt-get install chromium"):
        chromium.find({"PATH": str(tmp_path)})
    for name in ("google-chrome", "chromium"):
        (tmp_path / name).touch(mode=0o755)
    assert chromium.find({"PATH": str(tmp_path)}) == str(tmp_path / "chromium")
    named = tmp_path / "google-chrome"
    assert chromium.find({"PATH": str(tmp_path), "CHROMIUM": str(named)}) == str(named)


def test_a_named_program_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(chromium.NoChromium, match=r"CHROMIUM names .*/nothing, which is no program"):
        chromium.find({"PATH": "/usr/bin:/bin", "CHROMIUM": str(tmp_path / "nothing")})
