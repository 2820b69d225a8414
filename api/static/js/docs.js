// Shows the description of the API, and sends requests to it, with Swagger UI.

import { makeReadable } from "./docs_labels.js";

const { SwaggerUIBundle } = globalThis;

// The name of an operation is inside the button that opens it, where a link of its own cannot be reached.
const NamesWithoutLinks = ({ React }) => ({
  wrapComponents: { DeepLink: () => ({ text }) => React.createElement("span", null, text) },
});

makeReadable(document.querySelector("#docs"));
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  plugins: [NamesWithoutLinks],
});
