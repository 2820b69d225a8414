"""What a dataset is before any pixel is decoded: names, layout, splits, archives, limits. Never loads numpy."""
