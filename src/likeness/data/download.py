"""How to get each public set: its official commands and addresses, what needs an account, and checksums where
published.

`plan(name, output)` tells, `run(plan)` does it and goes on where it stopped, `verify(name, folder)` checks what is
there. Nothing here goes round an agreement: where the owners want one, the plan says so and stops there.
"""

from __future__ import annotations

import inspect
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import suggest
from ..errors import ConfigError, UsageError
from .fetch import ANYTHING, Expected, fetch
from .paths import existing
from .sources import SOURCES
from .sources.base import About, Problem, Problems, first
from .sources.ffhq import METADATA
from .sources.tables import json_members
from .unpack import unpack

FFHQ_SCRIPT = (
    "https://raw.githubusercontent.com/NVlabs/ffhq-dataset/193deb624543e54d93b54a296fcfc9a68a3ed8ce/download_ffhq.py"
)
FFHQ_JSON = Expected(267_793_842, md5="425ae20f06a4da1d4dc0f46d40ba5fd6")  # from the official script
EASYPORTRAIT = {"images.zip": "https://sc.link/LNLr", "annotations.zip": "https://sc.link/wPGX"}
LAION_IDS = "https://huggingface.co/datasets/FacePerceiver/laion-face/resolve/main/laion_face_ids.pth"
LAION_META = "https://the-eye.eu/public/AI/cah/laion400m-met-release/laion400m-meta/"
LAION_CONVERT = "https://raw.githubusercontent.com/FacePerceiver/LAION-Face/39ff2d4571d57e529d45ac5fa279060bca0d5e82/convert_parquet.py"
LAION_20M = (0, 2, 5, 8, 13, 15, 17, 18, 21, 22, 24, 25, 28)
LAION_COLUMNS = '["NSFW","similarity","LICENSE","SAMPLE_ID"]'
TEXT2FACE = {
    "ffhq": "12UlvshHY42S1hA3pj6uYDIyx5HbAzT-G",
    "easyportrait": "1GAYPxtn9a6M8syj_rmiQUU9qFWYJjKX0",
    "laion-face": "1qNw9WgV_QaxZ-OKtNYpGNm4vmBNGaNsG",
}
# Google Drive ids; the MD5 sums of CelebA are those that torchvision checks.
CELEBA = {
    "img_align_celeba.zip": ("0B7EVK8r0v71pZjFTYXZWM3FlRnM", "00d2c5bc6d35e252742224ab0c1e8fcb"),
    "list_attr_celeba.txt": ("0B7EVK8r0v71pblRyaVFSWGxPY0U", "75e246fa4810816ffd6ee81facbd244c"),
    "identity_CelebA.txt": ("1_ee_0u7vcNLOfNLegJRHmolfH5ICW-XS", "32bd1bd63d3c78cd57e08160ec5ed1e2"),
    "list_landmarks_align_celeba.txt": ("0B7EVK8r0v71pd0FJY3Blby1HUTQ", "cc24ecafdb5b50baae59b03474781f8c"),
    "list_eval_partition.txt": ("0B7EVK8r0v71pY0NSMzRuSXJEVkk", "d32c9cbf5e040fd4025c592c306e6668"),
}
CELEBA_HQ = "1badu11NqxGf6qM3PTTooQDJvQbejgbTv"
UTKFACE = {
    "part1.tar.gz": "1mb5Z24TsnKI3ygNIlX6ZFiwUj0_PmpAW",
    "part2.tar.gz": "19vdaXVRtkP-nyxz1MYwXiFsh_m_OL72b",
    "part3.tar.gz": "1oj9ZWsLV2-k2idoW_nRSrLQLUP3hus3b",
}
FAIRFACE = {
    "fairface_label_train.csv": "1i1L3Yqwaio7YSOCj7ftgk8ZZchPG7dmH",
    "fairface_label_val.csv": "1wOdja-ezstMEp81tX1a-EYkFebev4h7D",
}
FAIRFACE_IMAGES = {"0.25": "1Z1RqRo0_JiavaZw2yzZG6WETdZQ8qX86", "1.25": "1g7qNOZz9wC7OfOhcPqH1EZ5bk1UFGmlL"}
# what to install for a program that a plan calls
PROGRAMS = {
    "gdown": "pip install gdown", "img2dataset": "pip install img2dataset", "kaggle": "pip install kaggle",
    "hf": "pip install huggingface_hub", "wget": "your system's package manager",
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One step: an address to download, a command, an archive to unpack, or words for a person (none of the three).

    `target` is what is there afterwards; a command whose target is there, and as expected, is not run again.
    """

    says: str
    url: str = ""
    command: tuple[str, ...] = ()
    archive: Path | None = None
    target: Path | None = None
    expected: Expected = ANYTHING

    def line(self) -> str:
        """What a person would type, empty for a step that is only words."""
        if self.url:
            return f"curl -L -C - -o {shlex.quote(str(self.target))} {shlex.quote(self.url)}"
        if self.archive:
            tool = "unzip -n {0} -d {1}" if self.archive.suffix == ".zip" else "tar -xf {0} -C {1}"
            return tool.format(shlex.quote(str(self.archive)), shlex.quote(str(self.target)))
        return shlex.join(self.command)


@dataclass(frozen=True)
class Plan:
    """The steps to a data set in `output`."""

    about: About
    output: Path
    steps: tuple[Step, ...]

    def text(self) -> str:
        """A shell script with the licence, what needs an account, sizes and checksums in its comments."""
        about = self.about
        head = [f"{about.title}: {about.images}; {about.size}", f"Licence: {about.license}", f"See {about.url}"]
        lines = [f"# {h}" for h in head] + ([f"# Needs: {about.account}"] if about.account else [])
        lines += ["", f"mkdir -p {shlex.quote(str(self.output))} && cd {shlex.quote(str(self.output))}"]
        for step in self.steps:
            sums = ", ".join(f"{k} {v}" for k, v in vars(step.expected).items() if v)
            lines += ["", f"# {step.says}" + (f" ({sums})" if sums else ""), step.line() or "# (by hand)"]
        return "\n".join(lines) + "\n"


def plan(name: str, output: str | Path, **options: Any) -> Plan:
    """The plan for a source of `SOURCES`.

    Raises `UsageError` for one that cannot be downloaded, `ConfigError` for an unknown option.
    """
    if name not in SOURCES:
        raise UsageError(f"no source {name!r}{suggest(name, list(PLANS))}")
    about = SOURCES[name].about
    if name not in PLANS:
        raise UsageError(f"{name} cannot be downloaded: {about.how}")
    known = list(inspect.signature(PLANS[name]).parameters)[1:]
    for key in options:
        if key not in known:
            raise ConfigError(f"downloading {name} has no option {key!r}{suggest(key, known) if known else ''}")
    output = Path(output).expanduser().absolute()
    return Plan(about, output, tuple(PLANS[name](output, **options)))


def run(todo: Plan, progress: Callable[[str, int, int], None] | None = None) -> list[Problem]:
    """Take the steps in turn; archive members that were left out. What is there already is not fetched again.

    Raises `UsageError` at a step that a person must take, at a missing program, a failed command and a wrong checksum,
    and `Unreachable` when the network fails; running again goes on from there.
    """
    problems = Problems()
    tell = progress or (lambda stage, done, total: None)
    todo.output.mkdir(parents=True, exist_ok=True)
    for step in todo.steps:
        stage = step.target.name if step.target else step.says
        if step.url and step.target:
            fetch(step.url, step.target, step.expected, progress=lambda done, total, s=stage: tell(s, done, total))  # type: ignore[misc]
        elif step.archive and step.target:
            # an archive that was deleted after unpacking is no trouble
            if step.archive.exists() or not (step.target.is_dir() and any(step.target.iterdir())):
                unpack(step.archive, step.target, problems, lambda done, total, s=stage: tell(s, done, total))  # type: ignore[misc]
        elif step.command:
            _call(step, todo.output)
        elif step.target is None or not step.target.exists():
            raise UsageError(f"this step is yours: {step.says}. Then run it again.")
    return problems.all()


def _call(step: Step, folder: Path) -> None:
    target = step.target
    if target and target.is_file() and step.expected.trouble(target) is None:
        return
    program = step.command[0]
    if shutil.which(program) is None:
        raise UsageError(f"{program} is not installed: {PROGRAMS.get(program, 'install it')}, then run it again")
    # its own output goes where ours does, so that its progress and its questions are seen
    code = subprocess.run(step.command, cwd=folder, check=False).returncode
    if code:
        raise UsageError(f"`{shlex.join(step.command[:4])} …` failed with {code}; run it again to go on")
    if target and not target.exists():
        raise UsageError(f"`{program}` made no {target.name}: see what it said above")
    if target and target.is_file() and (why := step.expected.trouble(target)):
        raise UsageError(f"{target}: {why}. Delete it and run again.")


def verify(name: str, folder: str | Path, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
    """Check what was downloaded against published checksums; a note where none are published."""
    folder, problems = Path(folder), Problems()
    if name == "ffhq":
        _verify_ffhq(folder, problems, progress or (lambda done, total: None))
    elif name == "celeba":
        for file, (_, md5) in CELEBA.items():
            path = folder / file
            if path.is_file() and (why := Expected(md5=md5).trouble(path)):
                problems.add(path, why)
            elif not path.is_file():
                problems.note(path, "not there: not checked")
    else:
        problems.note(name, "its owners publish no checksums")
    return problems.all()


def _verify_ffhq(folder: Path, problems: Problems, tell: Callable[[int, int], None]) -> None:
    table = folder / METADATA
    if not table.is_file():
        problems.add(table, "not there: it holds the checksums")
        return
    if why := FFHQ_JSON.trouble(table):
        problems.note(table, f"not the official one: {why}")
    part = "image" if (folder / "images1024x1024").is_dir() else "thumbnail"
    for number, (key, row) in enumerate(json_members(table, problems), 1):
        try:
            spec = row[part]
            path = existing(folder, spec["file_path"])
            if why := Expected(spec["file_size"], spec["file_md5"]).trouble(path):
                problems.add(path, why)
        except UsageError as error:
            problems.add(f"{METADATA}, {key}", error)
        except (KeyError, TypeError) as error:
            problems.add(f"{METADATA}, {key}", f"not a row of FFHQ's metadata ({error})")
        tell(number, 70_000)


def _drive(says: str, number: str, target: Path, md5: str | None = None) -> Step:
    return Step(
        says, command=("gdown", "--continue", number, "-O", str(target)), target=target, expected=Expected(md5=md5)
    )


def _ffhq(output: Path, thumbnails: bool = False, threads: int = 32) -> Iterator[Step]:
    script = output / "download_ffhq.py"
    what = "--thumbs" if thumbnails else "--images"
    yield Step("the official script, pinned", url=FFHQ_SCRIPT, target=script)
    yield Step(
        "needs requests, numpy, scipy, pillow; checks every MD5, skips what is there; after a quota error run it again",
        command=(sys.executable, str(script), "--json", what, "--num_threads", str(threads)),
    )


def _easyportrait(output: Path, annotations: bool = True) -> Iterator[Step]:
    for file, url in EASYPORTRAIT.items():
        if file == "images.zip" or annotations:
            folder = output / file.removesuffix(".zip")
            yield Step(
                f"{file}, no checksum published; if the short link is dead, see the README",
                url=url,
                target=output / file,
            )
            yield Step("unpack", archive=output / file, target=folder)


def _laion_face(
    output: Path,
    num_samples: int | None = None,
    metadata: str | None = None,
    subset: str = "50m",
    seed: int = 0,
    processes: int = 16,
    threads: int = 128,
) -> Iterator[Step]:
    """`metadata`: the folder of laion_face_part_*.parquet, where it is there already; `subset`: 50m or 20m."""
    if subset not in {"50m", "20m"}:
        raise ConfigError(f"subset={subset!r}: 50m or 20m")
    meta = Path(metadata).expanduser().absolute() if metadata else output / "laion_face_meta"
    if metadata is None:
        yield from _laion_metadata(output, meta)
    fetching = (
        "img2dataset", "--input_format", "parquet", "--url_col", "URL", "--caption_col", "TEXT", "--resize_mode", "no",
        "--processes_count", str(processes), "--thread_count", str(threads), "--save_additional_columns", LAION_COLUMNS,
    )  # fmt: skip
    if num_samples:
        table, folder = output / f"sample_{num_samples}.parquet", output / "images"
        call = f"sample_metadata({str(meta)!r}, {str(table)!r}, {num_samples}, {seed})"
        code = f"from likeness.data.sources.laion_face import sample_metadata; {call}"
        says = "draw the rows; many addresses are dead by now, so fewer pictures will come"
        yield Step(says, command=(sys.executable, "-c", code), target=table)
        # files, not tars: so few fit a folder, and their names stay visible
        there = ("--url_list", str(table), "--output_format", "files", "--output_folder", str(folder))
        yield Step("goes on where it stopped", command=(*fetching, *there))
        return
    for part in range(32) if subset == "50m" else LAION_20M:
        table, folder = meta / f"laion_face_part_{part:05d}.parquet", output / f"split_{part:05d}"
        there = ("--url_list", str(table), "--output_format", "webdataset", "--output_folder", str(folder))
        yield Step(f"part {part} of 32; goes on where it stopped", command=(*fetching, *there))


def _laion_metadata(output: Path, meta: Path) -> Iterator[Step]:
    whole, ids, script = output / "laion400m-meta", output / "laion_face_ids.pth", output / "convert_parquet.py"
    yield Step(
        f"LAION-400M's metadata (some 50 GB); if this mirror is gone, put its parquet files into {whole}",
        command=("wget", "-c", "-nH", "--cut-dirs=4", "-l1", "-r", "--no-parent", "-A", "*.parquet", LAION_META),
        target=whole,
    )
    yield Step("the ids of the pictures with faces; no checksum published", url=LAION_IDS, target=ids)
    yield Step("the official converter, pinned", url=LAION_CONVERT, target=script)
    last = meta / "laion_face_part_00031.parquet"
    command = (sys.executable, str(script), str(ids), str(whole), str(meta))
    yield Step("needs torch, pyarrow, pandas, and memory for one part in full", command=command, target=last)


def _text2face(output: Path, only: str | None = None) -> Iterator[Step]:
    if only and only not in TEXT2FACE:
        raise ConfigError(f"only={only!r}{suggest(only, list(TEXT2FACE))}")
    for name, number in TEXT2FACE.items():
        if only in {None, name}:
            # the slash keeps the name that the file has on the drive
            yield Step(
                f"captions of {name}; no checksum published",
                command=("gdown", "--continue", number, "-O", f"{output}/"),
            )


def _celeba(output: Path) -> Iterator[Step]:
    for file, (number, md5) in CELEBA.items():
        yield _drive("by downloading you agree to non-commercial research use", number, output / file, md5)
    yield Step("unpack", archive=output / "img_align_celeba.zip", target=output)


def _celeba_hq(output: Path) -> Iterator[Step]:
    archive = output / "CelebAMask-HQ.zip"
    yield _drive("by downloading you agree to non-commercial use; no checksum published", CELEBA_HQ, archive)
    yield Step("unpack", archive=archive, target=output)


def _utkface(output: Path) -> Iterator[Step]:
    for file, number in UTKFACE.items():
        yield _drive("in-the-wild pictures; non-commercial research only; no checksum published", number, output / file)
        yield Step("unpack", archive=output / file, target=output)


def _fairface(output: Path, padding: str = "0.25") -> Iterator[Step]:
    if str(padding) not in FAIRFACE_IMAGES:
        raise ConfigError(
            f"padding={padding}: the pictures come with a margin of 0.25 (which our label table is for) or 1.25"
        )
    for file, number in FAIRFACE.items():
        yield _drive("labels; no checksum published", number, output / file)
    archive = output / f"fairface-img-margin{str(padding).replace('.', '')}-trainval.zip"
    yield _drive("pictures; no checksum published", FAIRFACE_IMAGES[str(padding)], archive)
    yield Step("unpack", archive=archive, target=output)


def _illinois(output: Path) -> Iterator[Step]:
    archive = output / "illinois-doc-labeled-faces-dataset.zip"
    yield Step(
        "needs a Kaggle account and its token (kaggle.com, Settings, API); no checksum published",
        command=(
            "kaggle",
            "datasets",
            "download",
            "-d",
            "davidjfisher/illinois-doc-labeled-faces-dataset",
            "-p",
            str(output),
        ),
        target=archive,
    )
    yield Step("unpack", archive=archive, target=output)


def _indian(output: Path, archive: str | None = None) -> Iterator[Step]:
    """`archive`: the zip or tar that came by hand, where it is not `indian.zip` in the folder."""
    there = Path(archive).expanduser().absolute() if archive else output / "indian.zip"
    if not there.is_file() and first(output, "*.csv", "*/*.csv") is None:
        yield Step(f"get the archive by hand (Kaggle, or the authors' form) and save it as {there}")
    yield Step("unpack", archive=there, target=output)


def _huggingface(output: Path, dataset: str = "", revision: str | None = None) -> Iterator[Step]:
    if not dataset:
        raise UsageError("which set? dataset=owner/name")
    pinned = ("--revision", revision) if revision else ()
    yield Step(
        "resumes and checks by itself",
        command=("hf", "download", "--repo-type", "dataset", dataset, *pinned, "--local-dir", str(output)),
    )


PLANS: dict[str, Callable[..., Iterator[Step]]] = {
    "ffhq": _ffhq,
    "easyportrait": _easyportrait,
    "laion-face": _laion_face,
    "text2face": _text2face,
    "celeba": _celeba,
    "celeba-hq": _celeba_hq,
    "utkface": _utkface,
    "fairface": _fairface,
    "illinois": _illinois,
    "indian": _indian,
    "huggingface": _huggingface,
}
