from likeness.cli.progress import bar, line, stages


def test_a_log_gets_a_plain_line_now_and_then(capsys):
    with stages(every=0) as tell:  # stderr is no terminal here
        for done in range(0, 300, 100):
            tell("denoiser", done, 1000, "0.10 USD")
    told = capsys.readouterr().err.splitlines()
    assert told and all(t.startswith("denoiser ") and "/1,000 images" in t and "0.10 USD" in t for t in told)
    assert "200/1,000" in told[-1]


def test_short_work_and_silence_leave_the_log_alone(capsys):
    with bar("drawing") as tell:
        tell(1, 2)
        tell(2, 2)
    with stages(show=False, every=0) as quiet:
        quiet("denoiser", 1, 2)
        quiet("denoiser", 2, 2)
    assert capsys.readouterr().err == ""


def test_a_line_says_how_long_it_will_take():
    assert line("denoiser", 12_800, 100_000, 31.6, "images") == "denoiser 12,800/100,000 images, 31.6/s, 46 min left"
    assert line("latents", 10, 70, 1, "images") == "latents 10/70 images, 1/s, 60 s left"
    assert line("faces", 10, 0, 0.25, "rows", "2 USD") == "faces 10 rows, 0.25/s, 2 USD"
    assert line("denoiser", 0, 14_400, 1, "images").endswith("4 h 0 min left")
