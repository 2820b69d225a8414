"""Files that go into every bundle as they are. They import nothing of ours: users have them without us."""
