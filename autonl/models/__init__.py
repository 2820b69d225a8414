"""What the service sends, as frozen dataclasses. Counts are integers, accuracies percent, times have a time zone."""
