"""Two sets of pictures held against each other: `likeness evaluate sets`."""
