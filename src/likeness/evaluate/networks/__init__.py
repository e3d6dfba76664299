"""The measuring networks: what they are, where their weights come from, and what they say of pictures."""
