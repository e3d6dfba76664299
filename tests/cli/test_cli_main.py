import subprocess
import sys
from pathlib import Path

import pytest

import likeness
from likeness.cli import main as cli
from likeness.errors import EngineError, UsageError

SRC = Path(likeness.__file__).parent.parent


@pytest.fixture
def raising(monkeypatch):
    """A command that fails as it is told to."""

    def install(error):
        def command() -> None:
            raise error

        monkeypatch.setitem(cli.COMMANDS, "fail", ("tests:fail", "Fails."))
        monkeypatch.setattr(cli, "load", lambda name: _command(command))

    def _command(function):
        import typer

        app = typer.Typer()
        app.command("fail")(function)
        return typer.main.get_command(app)

    return install


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (UsageError("give a number"), 2, "error: give a number\n"),
        (EngineError("out of\nmemory"), 1, "error: out of memory\n"),
        (KeyboardInterrupt(), 130, None),
        (FileNotFoundError(2, "No such file or directory", "x.bin"), 1, "error: x.bin: No such file or directory\n"),
        (OSError(28, "No space left on device"), 1, "error: No space left on device\n"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(raising, capsys, error, code, says):
    raising(error)
    assert cli.main(["fail"]) == code
    out, err = capsys.readouterr()
    assert out == "" and (says is None or err == says)


def test_a_fault_of_ours_asks_for_a_report_and_shows_its_traceback_only_when_asked(raising, capsys, monkeypatch):
    raising(ZeroDivisionError("oops"))
    assert cli.main(["fail"]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "--debug" in err and "Traceback" not in err
    for argv in (["--debug", "fail"], ["fail", "--debug"]):
        with pytest.raises(ZeroDivisionError):
            cli.main(argv)
    monkeypatch.setenv("LIKENESS_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main(["fail"])


@pytest.mark.parametrize(
    "argv", [["generat"], ["generate", "a man", "--stepz", "3"], ["generate", "a man", "--steps", "many"], ["inspect"]]
)
def test_misuse_is_one_line_with_exit_code_2(argv, capsys):
    assert cli.main(argv) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"likeness {likeness.__version__}\n"


def test_every_row_has_its_command_and_the_help_lists_it(capsys):
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    for name, (_, line) in cli.COMMANDS.items():
        assert name in told and line in told
        assert cli.load(name).name == name


def test_python_dash_m_runs_the_command():
    done = subprocess.run([sys.executable, "-m", "likeness", "generat"], capture_output=True, text=True, cwd=SRC)
    assert done.returncode == 2 and "generate" in done.stderr and done.stderr.count("\n") == 1


def test_a_reader_that_leaves_early_is_no_error():
    code = "import sys; from likeness.cli.main import main; sys.exit(main(['generate', '--help']))"
    done = subprocess.run(f'{sys.executable} -c "{code}" | true', shell=True, capture_output=True, text=True, cwd=SRC)
    assert done.stderr == ""
