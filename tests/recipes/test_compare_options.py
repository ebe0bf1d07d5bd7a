"""`recipes/compare.py`: its options, what it refuses, and what it tells a run."""

import pathlib
import sys

import pytest

RECIPES = pathlib.Path(__file__).parents[2] / "recipes"


def test_bad_input_is_one_line_and_nothing_is_written(compare, grid_arguments, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for asked, named in (
        (grid_arguments("patsch:wn"), "patsch"),
        (grid_arguments("patch:nw"), "nw"),
        (grid_arguments(), "nothing to compare"),
        (grid_arguments("patch:wn,wn"), "patch:wn is twice"),
        (grid_arguments("patch:wn", seeds=[0, 0]), "0 is twice"),
        ([*grid_arguments("patch:wn"), "--data", "absent"], "absent: no such folder"),
        ([*grid_arguments("patch:wn"), "--data", str(tmp_path / "empty")], "not a VOC folder"),
        ([*grid_arguments("patch:wn"), "--image-size", "32"], "--image-size 32"),
        ([*grid_arguments("resnet50:wn", "patch:wn"), "--weights", "imagenet"], "patch model"),
        ([*grid_arguments("patch:wn"), "--draw", "lots"], "lots"),
        ([*grid_arguments("patch:wn"), "--loss-options", "en:mu=0.5"], "no loss 'en'"),
        ([*grid_arguments("patch:wn"), "--loss-options", "wn:mu=0.5"], "no option 'mu'"),
        (
            [*grid_arguments("patch:wn"), "--out", str(pathlib.Path(__file__))],
            "test_compare_options.py",
        ),
    ):
        assert compare.main(asked) == 2, asked
        printed, errors = capsys.readouterr()
        assert printed == "" and errors.startswith("compare: ") and named in errors, errors
        assert errors.count("\n") == 1, errors
        assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("--seeds x", "--seeds x"),
        ("--seeds -- -1", "--seeds"),
        ("--epochs 0", "--epochs"),
        ("--augment blur", "blur"),
        ("--loss-options theta=0.1", "theta=0.1"),
        ("--loss-options wn:theta=big", "theta=big"),
        ("--loss-options wn:theta=0 --loss-options wn:theta=0", "wn is twice"),
        ("--recipe huge", "huge"),
        ("--model patch", "--model"),
    ],
)
def test_options_that_are_none(compare, grid_arguments, more, named, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        compare.main([*grid_arguments("patch:wn"), *more.split()])
    assert stopped.value.code == 2
    assert named in capsys.readouterr().err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_every_option_of_a_run_is_the_grids_or_passed_on(compare):
    of_a_run = set(vars(compare.train_voc.parse_arguments([])))
    of_the_grid = {"model", "loss", "seed", "out", "resume", "saved_models", "hold_out", "log"}
    of_the_grid.add("loss_options")  # which are those of one loss
    of_the_grid |= {"coordinator", "num_hosts", "host_id", "strategy"}  # a run has one device
    renamed = {"num_levels": "levels"}
    passed_on = {renamed.get(name, name).replace("_", "-") for name in of_a_run - of_the_grid}
    assert passed_on == {*compare.PASSED_ON, *compare.SWITCHES}


def test_the_command_of_a_run(compare, grid_arguments, voc, tmp_path):
    more = ["--draw", "area", "--deterministic", "--loss-options", "en+cl:mu=0.5,gamma=2"]
    options = compare.parse_arguments([*grid_arguments("patch:en+cl", seeds=[3]), *more])
    (job,) = compare.plan(options)
    told = compare.train_voc.parse_arguments(list(job.command[2:]))
    assert job.command[:2] == (sys.executable, str(RECIPES / "train_voc.py"))
    assert (told.model, told.loss, told.seed, told.hold_out) == ("patch", "en+cl", 3, 0.2)
    assert told.resume and told.deterministic and told.draw == "area"
    assert told.data == str(voc) and told.loss_options == {"mu": 0.5, "gamma": 2}
    assert told.out == str(tmp_path / "out" / "patch-en_cl-3") and job.epochs == 3
    assert told.saved_models == str(tmp_path / "out" / "saved_models")


@pytest.mark.parametrize("order", ["grid first", "seeds first", "between"])
def test_the_grid_may_stand_anywhere(compare, order):
    grid, seeds = ["patch:wn", "resnet50:an"], ["--seeds", "0", "1"]
    asked = {
        "grid first": [*grid, *seeds, "--out", "o"],
        "seeds first": [*seeds, *grid, "--out", "o"],
        "between": [*seeds, "--out", "o", *grid],
    }[order]
    options = compare.parse_arguments(asked)
    assert (options.grid, options.seeds) == (grid, [0, 1])


def test_help_teaches(compare, capsys):
    with pytest.raises(SystemExit):
        compare.main(["--help"])
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    for word in ("Exit code", "--seeds 0 1", "patch:wn,an", "table.md", "--image-size"):
        assert word in printed
