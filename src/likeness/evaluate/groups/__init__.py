"""Do drawn groups look like themselves, and hybrids like both parents? `likeness evaluate groups`."""
