"""From image files to batches on the device: `prepare` decodes once, `batches` orders, crops and flips."""
