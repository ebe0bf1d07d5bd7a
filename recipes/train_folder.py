"""Train, measure and export the patch classifier on your own pictures, from what is known of each.

    python recipes/train_folder.py --images photos --labels labels.csv
    python recipes/train_folder.py --images photos --labels labels.csv --test-labels test.csv

--labels is a CSV file in one of two forms, with its header:

    file,label                one positive label a row; a file may have several rows
    beach/01.jpg,sea

    file,sea,dog,boat         1: it is there, -1: it is not, 0 or nothing: not known
    beach/01.jpg,1,,-1

--test-labels has the same forms, but says the whole truth of other pictures: what it does not list
is absent, and so is a 0; only an empty cell is not known. Without it a tenth of the pictures is
held out of training, and since nobody has said what is absent from them, mAP cannot be known: the
table then shows how the scores agree with what is known.

`python recipes/inspect_data.py` with the same options looks for errors first. Kill the training
when you like and start it again with `--resume`.
"""

import argparse
import os
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import training_command

from keras_patchpu import data, losses, training
from keras_patchpu.errors import InputError


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", required=True, metavar="DIR", help="folder of the pictures")
    parser.add_argument("--labels", required=True, metavar="FILE.csv", help="what is known of them")
    parser.add_argument("--test-labels", metavar="FILE.csv", help="the truth of test pictures")
    parser.add_argument("--test-images", metavar="DIR", help="their folder; default: --images")
    recipe = "default: small, which needs no GPU; paper has more patches of larger pictures"
    training_command.add_training_options(parser, recipe)
    options = parser.parse_args(arguments)
    if options.test_images and not options.test_labels:
        parser.error("--test-images goes with --test-labels")
    return options


def plan(options: argparse.Namespace) -> tuple[training.Run, str]:
    """Everything that the run needs, and where it goes."""
    train = data.read_training_folder(options.images, options.labels)
    if len(train.label_names) < 2:
        raise InputError(
            f"{options.labels} has the one label {train.label_names[0]}: the model tells labels "
            "from each other, give 2 or more"
        )
    if options.test_labels:
        test = read_test(options, train)
    elif len(train) < 2:
        raise InputError(
            f"{options.labels} labels a single picture: training needs 2 at least, for one is held "
            "out to test on"
        )
    else:
        train, test = data.hold_out(train, options.seed)
    loss = losses.LOSSES[options.loss]
    if loss.supervised and not (train.labels == 0).any():
        raise InputError(
            f"--loss {options.loss} learns from positives and negatives, and {options.labels} has "
            "no -1: choose another, such as wn"
        )
    expected = options.expected_positives
    if expected is None and "expected_positives" in losses.arguments_of(options.loss):
        raise InputError(
            f"--loss {options.loss} needs to know how many labels a picture has, which nobody has "
            "counted: give the mean by --expected-positives, such as 1.5"
        )
    recipe = training_command.make_recipe(options, options.recipe or "small")
    run = training.Run(
        train=train,
        test=test,
        observed=data.known_labels(train),
        draw="given",
        loss=options.loss,
        recipe=recipe,
        seed=options.seed,
        expected_positives=expected or 1.0,
    )
    return run, training_command.out_directory(options, train)


def read_test(options: argparse.Namespace, train: data.Examples) -> data.Examples:
    """The test pictures, none of which may be a training picture."""
    folder = options.test_images or options.images
    test = data.read_folder(folder, options.test_labels, "test", True, train.label_names)
    trained_on = {os.path.realpath(image) for image in train.images}
    shared = [image for image in test.images if os.path.realpath(image) in trained_on]
    if shared:
        raise InputError(
            f"{options.test_labels}: {len(shared)} of its pictures are in {options.labels} too, "
            f"the first is {shared[0]}: take them out of one of the two"
        )
    return test


def data_arguments(options: argparse.Namespace) -> list[str]:
    """What `evaluate.py` is told to find the test data."""
    if options.test_labels:
        images = options.test_images or options.images
        return ["--images", images, "--test-labels", options.test_labels]
    return ["--images", options.images, "--labels", options.labels]


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return training_command.execute("train_folder", plan, options, data_arguments(options))


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    sys.exit(main())
