"""The bodies of responses and how they are built from rows and from the core's values: one module per resource.

Times are RFC 3339 in UTC, accuracies are percentages, and fields that hold MACs or bytes say so. The body of
`POST /searches` is `autonl_core.spec.config.SearchConfig` itself.
"""
