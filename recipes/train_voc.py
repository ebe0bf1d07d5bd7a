"""Train, measure and export the patch classifier on Pascal VOC, from one positive label an image.

    python recipes/train_voc.py --data /path/to/VOCdevkit        # VOC 2012, the paper's recipe
    python recipes/train_voc.py --data tfds                      # the same data by TFDS
    python recipes/train_voc.py --data digits                    # embedded data, minutes on a CPU

`--recipe paper` is section 4.1.2 of Jouanneau et al. (VISAPP 2023): 640 pixels, 130 patches, 25
epochs of LAMB. The paper reports a test mAP of 60.4 with `--loss wn`, 60.0 with `an`, 58.8 with
`epr`, 49.7 with `role` and 61.6 with `bce`, which sees all labels. It takes 12 GB of memory and,
on 2 cores, days: there, try `--recipe small`.

The run's directory gets config.json, observed.csv, history.csv, metrics.json, model.keras, a
checkpoint, report.html, with wn weak_negatives.json and, if TensorBoard is installed, its logs;
saved_models/<name of the run>/1 gets a SavedModel for TF Serving. Kill it when you like and start
it again with `--resume`.
"""

import argparse
import dataclasses
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import numpy as np
import shared_options
import training_command

from keras_patchpu import data, training


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared_options.add_data_option(parser, "a folder with VOC, COCO, NUS-WIDE or CUB as unpacked; ")
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
    recipe = "default: digits for that data, else paper"
    training_command.add_training_options(parser, recipe)
    return parser.parse_args(arguments)


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


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    data_arguments = ["--data", options.data] if options.data else []
    return training_command.execute("train_voc", plan, options, data_arguments)


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    sys.exit(main())
