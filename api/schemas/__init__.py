"""What the API answers, and how it is made from rows: one module per noun.

Times are RFC 3339 UTC, accuracies percent, MACs and bytes named. The body of `POST /searches` is
`autonl_core.spec.config.SearchConfig` itself.
"""
