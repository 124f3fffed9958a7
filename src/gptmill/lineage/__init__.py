"""Where a model comes from: what travels with it, the card beside it, and the way back."""
