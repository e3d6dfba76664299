"""How a published model is used: code for the stock libraries and a command, by kind. A test runs every one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .subject import Subject

PROMPT = "a smiling woman in her thirties with long black hair"
_SHIPPED = 'str(Path(likeness.__file__).parent / "assets" / "{base}")'

_DIFFUSERS = """\
import torch
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained({model})
image = pipe({prompt}, num_inference_steps={steps}, guidance_scale={guidance},
             generator=torch.Generator().manual_seed(0)).images[0]
image.save("face.png")
"""
_LORA = """\
{imports}import torch
from diffusers import DiffusionPipeline

pipe = DiffusionPipeline.from_pretrained({base})
pipe.load_lora_weights({model}, weight_name="pytorch_lora_weights.safetensors")
image = pipe({prompt}, num_inference_steps={steps}, guidance_scale={guidance},
             generator=torch.Generator().manual_seed(0)).images[0]
image.save("face.png")
"""
_DDPM = """\
import torch
from diffusers import DDPMPipeline

pipe = DDPMPipeline.from_pretrained({model})
generator = torch.Generator().manual_seed(0)
image = pipe(generator=generator, num_inference_steps={steps}).images[0]
image.save("face.png")
"""
_GROUPS = """\
import torch
from diffusers import DDPMPipeline

pipe = DDPMPipeline.from_pretrained({model})
groups = {groups}
group = torch.tensor([0])  # the number of a group in this list; {count} is any face
side = pipe.unet.config.sample_size
x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
pipe.scheduler.set_timesteps({steps})
for t in pipe.scheduler.timesteps:
    with torch.no_grad():
        x = pipe.scheduler.step(pipe.unet(x, t, class_labels=group).sample, t, x).prev_sample
image = pipe.numpy_to_pil((x / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy())[0]
image.save("face.png")
"""
_DINO = """\
from huggingface_hub import snapshot_download
from likeness.models import dino

model = dino.load(snapshot_download({model}))
print(model.about.encoder, model.shape)
"""
_EYE = """\
from transformers import CLIPModel, CLIPTokenizer

model = CLIPModel.from_pretrained({model})
tokenizer = CLIPTokenizer.from_pretrained({model})
words = tokenizer(["a smiling woman", "an old man"], padding=True, return_tensors="pt")
print(model.get_text_features(**words))
"""
_JUDGE = """\
import torch
from huggingface_hub import snapshot_download
from likeness.models.judge import Judge

judge = Judge.load(snapshot_download({model}))
print(judge.predict(torch.zeros(1, 3, 128, 128))["gender"])  # pixels in [-1, 1]
"""
_DRAW = "likeness generate {prompt} --model {id} --seed 0"
# kind -> (code, command)
_USE: dict[str, tuple[str, str]] = {
    "lora": (_LORA, "likeness generate {prompt} --model {base_name} --lora {id} --seed 0"),
    "merged": (_DIFFUSERS, _DRAW),
    "pipeline": (_DIFFUSERS, _DRAW),
    "mini": (_DIFFUSERS, _DRAW),
    "ddpm": (_DDPM, "likeness mix groups {id} --combinations {group} --count 4 --seed 0"),
    "dino": (_DINO, "likeness generate --from-face photo.jpg --consent --model {id} --seed 0"),
    "eye": (_EYE, "likeness models pull {id}  # prints the folder"),
    "judge": (_JUDGE, "likeness models pull {id}  # prints the folder"),
}
# family -> steps and guidance of the code
_DEFAULTS = {"mini": (30, 3.0), "sd15": (30, 7.5), "sd21": (30, 7.5), "sdxl": (30, 7.5)}


@dataclass(frozen=True)
class Use:
    """What stands in the card: Python, and a line for a shell."""

    code: str
    command: str

    def text(self) -> str:
        return f"```python\n{self.code}```\n\n```sh\n{self.command}\n```"


def use(what: Subject, model: str, prompt: str | None = None) -> Use:
    """`model`: its id on the hub, or a folder. `prompt`: one that it was drawn with."""
    code, command = _USE[what.kind]
    groups: list[str] = list(what.told.get("groups") or ())
    if what.kind == "ddpm" and groups:
        code = _GROUPS
    steps, guidance = _DEFAULTS.get(str(what.told.get("family")), (50, 7.5))
    said = prompt or str(what.config.get("instance_prompt") or "") or PROMPT
    base = what.base or "THE-BASE-MODEL"  # the file does not say, and we do not guess
    shipped = base == "mini"
    values: Mapping[str, Any] = {
        "model": repr(model), "prompt": repr(said), "steps": steps, "guidance": guidance, "groups": groups,
        "count": len(groups), "base": _SHIPPED.format(base=base) if shipped else repr(base),
        "imports": "from pathlib import Path\n\nimport likeness\n" if shipped else "",
    }  # fmt: skip
    group = _quoted(groups[0]) if groups else "any"
    return Use(code.format(**values), command.format(id=model, prompt=_quoted(said), base_name=base, group=group))


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text) if "'" in text or '"' in text or "$" in text else f'"{text}"'
