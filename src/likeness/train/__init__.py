"""Training: one loop, its recipes, and what they share."""
