"""Speed and memory of training and generation, as ratios to transformers and to a textbook's code: `make bench`."""
