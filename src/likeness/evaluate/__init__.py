"""Measuring: features, statistics and distances apart; every score with its count, interval and protocol."""
