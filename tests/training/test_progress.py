from training.progress import Stopwatch, progress


def test_stage_is_named_and_its_end_told(capsys):
    done = progress("Reading pictures", 3)
    for count in 1, 2, 3:
        done(count)
    told = capsys.readouterr().out
    assert told.startswith("Reading pictures:\n") and "3/3" in told and "/picture" in told


def test_seconds_of_a_stage_add_up():
    watch = Stopwatch()
    for stage in "head", "export", "head":
        with watch(stage):
            pass
    assert [*watch.seconds] == ["head", "export"] and min(watch.seconds.values()) >= 0
    watch.seconds = {"head": 1.26, "export": 20}
    assert str(watch) == "head 1.3, export 20.0"
