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
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import training_command

from keras_patchpu import training


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
    run = training.folder_run(
        options.images,
        options.labels,
        test_labels=options.test_labels,
        test_images=options.test_images,
        loss=options.loss,
        recipe=training_command.make_recipe(options, options.recipe or "small"),
        seed=options.seed,
        expected_positives=options.expected_positives,
    )
    return run, training_command.out_directory(options, run.train)


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
