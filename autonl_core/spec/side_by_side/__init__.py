"""Several searches side by side: which settings differ, what that changed, and whether it is more than chance."""
