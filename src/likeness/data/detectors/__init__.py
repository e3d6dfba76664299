"""One file per face detector; `..detect.DETECTORS` is the table of them."""
