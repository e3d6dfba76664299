"""The HTTP service: an engine that draws, a store that remembers, and the routes between them and the world."""
