"""Training and scoring one network."""
