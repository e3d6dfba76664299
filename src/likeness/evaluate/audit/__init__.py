"""Whom a model draws, whom it draws worse, and whom it copies: `likeness evaluate audit`."""
