"""What a process says about itself: log lines, metrics and traces. Knows no rows and no routes."""
