"""What a search is about, described: architectures, MACs, spaces, configurations, results. Never loads tensor code."""
