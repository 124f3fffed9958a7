"""Data: where it comes from, how its files are read, what is expected of it, how it is divided."""
