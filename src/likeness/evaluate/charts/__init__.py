"""Diagrams drawn with Pillow alone: dots with intervals, lines, confusion tables, strips of faces."""
