"""How fast gptmill trains, beside transformers and beside the code of a textbook, as ratios measured in one run: `make bench`."""
