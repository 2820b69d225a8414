// Shows the description of the API, and sends requests to it, with Swagger UI.

const { SwaggerUIBundle } = globalThis;

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
});
