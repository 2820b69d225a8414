"""Files that are copied into every bundle unchanged. They import nothing from this package: users do not have it."""
