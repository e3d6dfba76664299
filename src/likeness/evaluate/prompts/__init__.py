"""A grid of prompts, drawn and judged: `likeness evaluate prompts`."""
