"""What licences and models are called on the hub, and what goes with a licence."""

from __future__ import annotations

# words of a licence's name -> its short name on the hub; the first that fits
HUB_LICENSES = {
    "openrail++ m": "openrail++", "openrail++": "openrail++", "creativeml openrail m": "creativeml-openrail-m",
    "openrail": "openrail",
    "cc by nc sa 4.0": "cc-by-nc-sa-4.0", "cc by nc nd 4.0": "cc-by-nc-nd-4.0", "cc by nc 4.0": "cc-by-nc-4.0",
    "cc by sa 4.0": "cc-by-sa-4.0", "cc by 4.0": "cc-by-4.0", "cc by 2.0": "cc-by-2.0", "cc0": "cc0-1.0",
    "apache 2.0": "apache-2.0", "llama 2": "llama2", "mit": "mit",
}  # fmt: skip

# short name -> what whoever passes the model on must keep to
INHERITED = {
    "openrail++": (
        "The base is under CreativeML OpenRAIL++-M: its use restrictions (paragraph 5 and attachment A of the licence) "
        "hold for this model too, and whoever passes it on must pass them on."
    ),
    "creativeml-openrail-m": (
        "The base is under CreativeML OpenRAIL-M: its use restrictions (paragraph 5 and attachment A of the licence) "
        "hold for this model too, and whoever passes it on must pass them on."
    ),
    "openrail": "The base is under an OpenRAIL licence: its use restrictions hold for this model too.",
    "cc-by-nc-4.0": "Not for commercial use.",
    "cc-by-nc-sa-4.0": "Not for commercial use, and only to be passed on under the same licence.",
    "cc-by-nc-nd-4.0": "Not for commercial use, and not to be passed on in a changed form.",
}
LINKS = {
    "creativeml-openrail-m": "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
    "openrail++": "https://huggingface.co/stabilityai/stable-diffusion-xl-base-1.0/blob/main/LICENSE.md",
    "cc-by-4.0": "https://creativecommons.org/licenses/by/4.0/",
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "mit": "https://opensource.org/license/mit",
}
