// What Swagger UI leaves out for those who hear the page, or who have no mouse: names of its controls, levels of its
// headings, and a way into whatever scrolls.

/** Completes whatever appears in `root`, now and later. */
export function makeReadable(root) {
  new MutationObserver(() => complete(root)).observe(root, { childList: true, subtree: true });
}

function complete(root) {
  name(root, "select", (select) => parameterOf(select) ?? (select.id === "servers" ? "Server" : "Media type"));
  name(root, "textarea, .parameters input", (field) => parameterOf(field) ?? "Request body");
  name(root, "[role=region]", (region) => `Responses of ${operationOf(region)}`);
  name(root, ".close-modal", () => "Close");
  name(root, ".copy-to-clipboard button", () => "Copy");
  set(root, "h3, h4, h5", "aria-level", ({ tagName }) => String(Number(tagName.at(-1)) - 1)); // below a title of level 1
  set(root, "pre, .highlight-code > *, .table-container, .model-box", "tabindex", () => "0");
}

function name(root, selector, text) {
  set(root, selector, "aria-label", text);
}

function set(root, selector, attribute, value) {
  for (const element of root.querySelectorAll(`:is(${selector}):not([${attribute}])`)) {
    element.setAttribute(attribute, value(element));
  }
}

function parameterOf(field) {
  return field.closest("[data-param-name]")?.dataset.paramName;
}

function operationOf(element) {
  const summary = element.closest(".opblock")?.querySelector(".opblock-summary-control");
  return summary?.textContent.replaceAll("\u200b", "") ?? "this operation";
}
