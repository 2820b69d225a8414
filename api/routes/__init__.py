"""The paths of the API, one module per resource. Routes parse, call a store, and respond."""
