"""The paths of the API, one module per noun. Routes parse, call a store, and answer."""
