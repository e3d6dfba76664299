"""Face data sets: reading, preparing, checking."""
