"""What the recipes for the field's data sets share, whose whole truth is known."""

import argparse
import dataclasses

import numpy as np
import training_command

from keras_patchpu import data, training


def add_options(parser: argparse.ArgumentParser, recipe_help: str) -> None:
    """Adds all options but `--data`."""
    parser.add_argument(
        "--draw",
        default="uniform",
        metavar="|".join((*data.DRAWS, "FILE.csv")),
        help="how each image's positive is drawn; or a draw to repeat, such as another run's "
        "observed.csv; default: uniform",
    )
    parser.add_argument(
        "--hold-out",
        type=share,
        metavar="SHARE",
        help="keep this part of the training images out of training, such as 0.2, and write the "
        "mAP on them after each epoch into history.csv",
    )
    training_command.add_training_options(parser, recipe_help)


def share(text: str) -> float:
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return number


def plan(options: argparse.Namespace) -> tuple[training.Run, str]:
    """Everything that the run needs, and where it goes."""
    found = data.read_source(options.data, options.seed)
    train, test = found
    train = data.drop_unlabelled(train)
    default = "digits" if options.data == "digits" else "paper"
    recipe = training_command.make_recipe(options, options.recipe or default)
    observed = data.observe(train, options.draw, options.seed)
    expected = options.expected_positives
    if expected is None:
        expected = round(float(np.mean(np.sum(train.labels == 1, axis=1))), 2)
    run = training.Run(
        train=train,
        test=test,
        observed=observed,
        draw=options.draw,
        loss=options.loss,
        recipe=recipe,
        seed=options.seed,
        expected_positives=expected,
        found=found,
    )
    if options.hold_out:
        run = hold_out(run, options.hold_out)
    return run, training_command.out_directory(options, train)


def hold_out(run: training.Run, part: float) -> training.Run:
    """The run with a part of its training images, and their labels, to validate on."""
    held_out = data.held_out(run.train, run.seed, part)
    kept, validation = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    return dataclasses.replace(
        run,
        train=run.train.select(kept),
        observed=run.observed[kept],
        validation=run.train.select(validation),
        validation_observed=run.observed[validation],
    )


def execute(name: str, options: argparse.Namespace) -> int:
    """Trains, measures, exports and reports as the recipe of that name; gives the exit code."""
    data_arguments = ["--data", options.data] if options.data else []
    return training_command.execute(name, plan, options, data_arguments)
