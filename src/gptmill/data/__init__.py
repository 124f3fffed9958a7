"""Data sets: file formats, validation, duplicates, splits, leakage."""
