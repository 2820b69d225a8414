"""The web page, without a browser: all its files are served, it uses no other host, and it calls paths that exist."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from api.page import STATIC

FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]


def test_the_page_and_all_its_files_are_served(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    types = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
    for path in FILES:
        answer = client.get(f"/static/{path.relative_to(STATIC)}")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(types[path.suffix])


def test_browsers_may_load_nothing_from_other_hosts(client: httpx.Client) -> None:
    headers = client.get("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"  # pictures of doubtful labels come in their list
    assert policy["frame-ancestors"] == "'none'"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_another_host_or_needs_inline_code(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.[a-z]", text)
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=", text)
    assert "innerHTML" not in text


def test_the_description_of_the_api_is_a_page_that_loads_nothing_from_other_hosts(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "script-src 'self';" in page.headers["Content-Security-Policy"]
    for file, kind in (("swagger-ui-bundle.js", "text/javascript"), ("swagger-ui.css", "text/css")):
        assert f"static/swagger-ui/{file}" in page.text
        assert client.get(f"/static/swagger-ui/{file}").headers["Content-Type"].startswith(kind)


def test_scripts_import_files_and_names_that_exist() -> None:
    exported = {
        path.name: set(re.findall(r"export (?:async )?(?:function|const|class) (\w+)", path.read_text()))
        for path in SCRIPTS
    }
    for path in SCRIPTS:
        text = path.read_text()
        for names, source in re.findall(r'import \{([^}]+)\} from "\./([\w.]+)"', text):
            assert {name.strip() for name in names.split(",")} <= exported[source], f"{path.name} imports from {source}"
        for alias, source in re.findall(r'import \* as (\w+) from "\./([\w.]+)"', text):
            used = set(re.findall(rf"(?<!/)\b{alias}\.(\w+)", text))
            assert used <= exported[source], f"{path.name} uses {used - exported[source]} of {source}"


def test_scripts_look_for_elements_that_the_page_has() -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', (STATIC / "index.html").read_text()))
    for path in SCRIPTS:
        assert set(re.findall(r'byId\("([^"]+)"\)', path.read_text())) <= ids, path.name


def test_scripts_call_paths_that_the_api_has(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]
    known = {re.sub(r"\{[^}]+\}", "*", path) for path in described}
    called = {
        re.sub(r"\$\{[^}]*\}", "*", path)
        for path in re.findall(r'call\([`"]([^`"?]+)', (STATIC / "js/api.js").read_text())
    }
    of_the_page = {path for path in called if path.startswith("/static/")}
    assert called - of_the_page
    assert called - of_the_page <= known
    assert [path for path in of_the_page if client.get(path).status_code != 200] == []
