"""From the files of a dataset to batches of pixels: listing, decoding, caching, sampling, augmentation."""
