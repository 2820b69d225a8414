"""Accessibility by axe-core, which comes in a wheel: nothing is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

_RUN = """async ({ within, rules }) => {
  const options = { resultTypes: ["violations"], preload: false, iframes: false };
  if (rules) options.runOnly = rules;
  const { violations } = await axe.run(within, options);
  const said = (id) => ({ target, failureSummary }) => `${id}: ${target}: ${failureSummary}`;
  return violations.flatMap(({ id, nodes }) => nodes.map(said(id)));
}"""
# Rules whose outcome depends on the width of the page, or on its colours.
OF_LAYOUT = ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]


def violations(page: Page, within: str = "html", rules: list[str] | None = None) -> list[str]:
    """What axe finds wrong `within` a part of the page, each with its element; by all rules, or some."""
    from axe_playwright_python.base import AXE_SCRIPT  # here, because every run collects these tests

    if not page.evaluate("'axe' in globalThis"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = page.evaluate(_RUN, {"within": within, "rules": rules})
    return found
