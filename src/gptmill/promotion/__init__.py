"""Which model is in use: challengers are measured beside the champion, and take its place when they are surely better."""
