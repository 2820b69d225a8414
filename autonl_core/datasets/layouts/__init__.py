"""How the folders and files of a dataset are read: which part of a name is the class, and which the split."""
