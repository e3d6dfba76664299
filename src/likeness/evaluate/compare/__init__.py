"""Two or more models, or folders of pictures, held side by side: numbers, their changes, and a report to look at."""
