"""What a dataset is before any pixel is decoded: names, layout, splits, sources, limits. Never imports NumPy."""
