"""Generated faces against real ones, pair by pair: `likeness evaluate pairs`."""
