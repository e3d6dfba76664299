"""Pure functions of numbers and pictures: distances, intervals, counts; each with its source."""
