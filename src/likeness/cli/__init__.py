"""The command line: a command parses, calls, prints, and nothing else."""
