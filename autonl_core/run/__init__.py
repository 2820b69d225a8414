"""One attempt at a search: what its phases share, how it reports, saves and stops."""
