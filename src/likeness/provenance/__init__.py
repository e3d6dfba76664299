"""What marks a picture as generated and tells how: texts, XMP, C2PA manifest, invisible watermark."""

from .a1111 import SAMPLERS, parameters, parse_parameters
from .marks import UNTOUCHED, Marks, mark_png, payload_of, save_png
from .recipe import VERSION, digest, inputs_of, read, recipe_of, request_of, verify_inputs
from .software import version
from .texts import KEY, SOURCE_TYPE, XMP_KEY, xmp

__all__ = [
    "KEY",
    "SAMPLERS",
    "SOURCE_TYPE",
    "UNTOUCHED",
    "VERSION",
    "XMP_KEY",
    "Marks",
    "digest",
    "inputs_of",
    "mark_png",
    "parameters",
    "parse_parameters",
    "payload_of",
    "read",
    "recipe_of",
    "request_of",
    "save_png",
    "verify_inputs",
    "version",
    "xmp",
]
