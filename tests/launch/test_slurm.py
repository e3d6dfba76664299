"""Job files, read by bash and run by it: beside commands that stand in for Slurm's, which a test machine has not."""

import os
import shutil
import subprocess
import time

import pytest

from likeness.cli.main import main
from likeness.errors import UsageError
from likeness.launch import training
from likeness.launch.slurm import Job, script

# every task of a step, with what Slurm tells it; the step's id is where scancel finds it
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do shift; done
for i in $(seq 0 $((SLURM_NTASKS - 1))); do SLURM_PROCID=$i SLURM_LOCALID=$i "$@" & pids+=($!); done
echo "${pids[@]}" > step
for p in "${pids[@]}"; do wait "$p" || status=$?; done
exit ${status:-0}
"""
SCONTROL = """#!/bin/bash
if [ "$1 $2" = "show hostnames" ]; then printf 'first\\nsecond\\n'; else echo "$@" >> requeued; fi
"""
SCANCEL = '#!/bin/bash\necho "$@" > cancelled; kill -TERM $(cat step)\n'
# stands for `python -m likeness`: says what it was started with, and trains until it is told to stop
PYTHON = """#!/bin/bash
printf '%s\\n' "$RANK $LOCAL_RANK $WORLD_SIZE $MASTER_ADDR $MASTER_PORT $OMP_NUM_THREADS" "$@" > "told.$RANK"
[ -z "$SLOW" ] && exit ${STATUS:-0}
trap 'echo saved > "saved.$RANK"; exit 0' TERM
touch "begun.$RANK"; for _ in $(seq 600); do sleep 0.1; done; exit 9
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in {"srun": SRUN, "scontrol": SCONTROL, "scancel": SCANCEL, "python": PYTHON}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    told = {"JOB_ID": "10042", "JOB_NODELIST": "n[1-2]", "NTASKS": "2", "CPUS_PER_TASK": "3", "ARRAY_TASK_ID": "7"}
    for key, value in told.items():
        monkeypatch.setenv(f"SLURM_{key}", value)
    return tmp_path


WORDS = ("train", "lora", "--data", "my faces; $(touch hacked) 'x'", "--output", "runs/{task}", "--prompt", "", "*")


def started(job, **environment):
    return subprocess.Popen(["bash", "-c", script(job)], env=os.environ | environment)


def test_every_task_is_told_its_place_and_the_words_as_they_were_written(cluster):
    (cluster / "my env").write_text("NAME='two words'\n")
    assert started(Job(WORDS, array="0-9", env_file="my env")).wait(300) == 0
    words = ["-m", "likeness", *(w.replace("{task}", "7") for w in WORDS)]
    for rank in (0, 1):
        told = (cluster / f"told.{rank}").read_text().split("\n")[:-1]
        assert told == [f"{rank} {rank} 2 first 20042 3", *words]
    assert not (cluster / "hacked").exists() and not (cluster / "requeued").exists()


def test_before_the_time_is_up_the_training_saves_and_queues_again(cluster):
    job = started(Job(WORDS[:2]), SLOW="1")
    deadline = time.monotonic() + 300
    while len(list(cluster.glob("begun.*"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    job.send_signal(10)  # USR1, as --signal=B:USR1@120 has it
    assert job.wait(300) == 0
    assert (cluster / "cancelled").read_text() == "--signal=TERM 10042\n"
    assert {p.name for p in cluster.glob("saved.*")} == {"saved.0", "saved.1"}
    assert (cluster / "requeued").read_text() == "requeue 10042\n"


def test_a_training_that_fails_is_not_queued_again(cluster):
    assert started(Job(WORDS[:2]), STATUS="3").wait(300) == 3
    assert not (cluster / "requeued").exists()


@pytest.mark.parametrize(
    "job",
    [Job(WORDS[:2]), Job(WORDS, "n", "gpu", "me@lab", "2-00", 4, 8, 8, 4, "64G", "1,3-5%2", "a b", "it's", 60)],
)
def test_bash_and_shellcheck_find_nothing(job, tmp_path):
    file = tmp_path / "job.sh"
    file.write_text(script(job))
    assert subprocess.run(["bash", "-n", str(file)]).returncode == 0
    if shutil.which("shellcheck"):  # but for files that are not here, and a dollar that is meant to stay one
        done = subprocess.run(["shellcheck", "-e", "SC1090,SC1091,SC2016", str(file)], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    head = [line for line in file.read_text().splitlines()[1:] if line.startswith("#SBATCH")]
    assert file.read_text().splitlines()[1 : len(head) + 1] == head  # Slurm stops reading at the first other line
    assert "#SBATCH --signal=B:USR1@" in file.read_text() and "#SBATCH --requeue" in head


@pytest.mark.parametrize(
    ("field", "value"),
    [("time", "1 day"), ("mem", "32 GB"), ("partition", "gpu\n#SBATCH --uid=0"), ("array", "all"), ("name", "a b")],
)
def test_what_slurm_does_not_take_is_refused(field, value):
    with pytest.raises(UsageError, match=f"--{field} .* is not what Slurm takes"):
        script(Job(WORDS[:2], **{field: value}))


def test_a_task_number_needs_an_array():
    with pytest.raises(UsageError, match="give --array"):
        script(Job(WORDS))


def test_the_command_writes_a_file_for_a_preset(tmp_path, capsys):
    assert main(["launch", "slurm", "lora/diffyface", "--gpus", "4", "--time", "8:00:00", "--", "--data", "faces"]) == 0
    text = (tmp_path / "lora-diffyface.sh").read_text()
    assert "python -m likeness train lora --preset lora/diffyface --data faces\n" in text
    assert "#SBATCH --gpus-per-node=4\n" in text and "#SBATCH --ntasks-per-node=4\n" in text
    assert "sbatch lora-diffyface.sh" in capsys.readouterr().out
    assert main(["launch", "slurm", "--print", "--", "likeness", "train", "lora", "--data", "x"]) == 0
    assert capsys.readouterr().out.startswith("#!/bin/bash\n#SBATCH --job-name=lora\n")
    assert [p.name for p in tmp_path.iterdir()] == ["lora-diffyface.sh"]


def test_words_become_one_training_command():
    assert training.command(["smoke/mini", "--data", "x"]) == ["train", "mini", "--preset", "smoke/mini", "--data", "x"]
    whole = ["likeness", "train", "lora", "--data", "x"]
    assert training.command(whole) == whole[1:]
    assert training.command(["mine.yaml", *whole]) == ["train", "lora", "--preset", "mine.yaml", "--data", "x"]
    for words, match in (
        ([], "nothing to start"), (["likeness", "generate"], "only training"), (["diffyfase"], "no preset"),
        (["mine.yaml"], "what does mine.yaml train"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=match):
            training.command(words)
