"""The service over HTTP: routes, schemas, problems, the web page. Loads no torch."""
