"""What the models are worth: their answers, the judges of those, and what simpler means reach on the same data."""
