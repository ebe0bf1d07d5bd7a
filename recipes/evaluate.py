"""Measure a trained model: the table that `train_voc.py` ended with, from the saved model.

python recipes/evaluate.py runs/voc2012-wn-0 --data /path/to/VOCdevkit
python recipes/evaluate.py runs/digits-wn-0 --data digits
python recipes/evaluate.py runs/photos-wn-0 --images photos --test-labels test.csv
python recipes/evaluate.py runs/voc2012-wn-0 --data /path/to/VOCdevkit --calibrate
"""

import argparse
import dataclasses
import json
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import numpy as np
import shared_options
from terminal import exit_code

from keras_patchpu import data, training
from keras_patchpu.errors import InputError


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="the directory of a finished training run")
    shared_options.add_data_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="also find the threshold of each label with the largest F1, and write thresholds.json "
        "into the run, for predict.py; on the images that train_voc.py --hold-out kept out of the "
        "training, or without these on the images measured here",
    )
    shared_options.add_cache_option(parser)
    return shared_options.parse_with_folder(parser, arguments)


def read_test(options: argparse.Namespace, config: dict) -> data.Examples:
    """The pictures to measure on."""
    if options.test_labels:
        names = config["label_names"]
        return data.read_folder(options.images, options.test_labels, "test", True, names)
    if options.labels:
        if config.get("test_split") != "train":
            raise InputError(
                f"{options.run} held nothing of --labels out of training: give --test-labels"
            )
        train = data.read_training_folder(options.images, options.labels)
        return data.hold_out(train, config["seed"])[1]
    return data.read_source(options.data, config["seed"], ["test"])[0]


def read_validation(options: argparse.Namespace, config: dict) -> data.Examples | None:
    """The pictures that the run held out of its training to validate on, if it did."""
    number = config.get("num_validation", 0)
    if not number or options.images:
        return None
    train = data.drop_unlabelled(data.read_source(options.data, config["seed"], ["train"])[0])
    if len(train) != config["num_train"] + number:
        raise InputError(
            f"{options.run} held {number:,} of {config['num_train'] + number:,} images out of its "
            f"training, and {train.name} has {len(train):,}: give the same --data"
        )
    rows = np.flatnonzero(data.held_out_first(train, config["seed"], number))
    return dataclasses.replace(train.select(rows), split=training.VALIDATION)


def measure(options: argparse.Namespace) -> training.Evaluation | training.Agreement:
    directory = training.RunDirectory(options.run)
    recipe, config = training.read_config(directory)
    model = training.load_trained(directory, recipe, config)
    test = read_test(options, config)
    advice = "give its data by --data, or by --images and --test-labels"
    training.check_labels(directory, config, test, advice)
    cache = shared_options.picture_cache(options)
    validation = read_validation(options, config) if options.calibrate else None
    splits = [test] if validation is None else [test, validation]
    cached = training.load_or_check(splits, recipe, cache)
    how = {"batch_size": recipe.batch_size, "resize": recipe.resize}
    if options.calibrate:
        thresholds = training.calibrate(model, splits[-1], cached=cached[-1], **how)
        thresholds.write(directory)
        print(
            f"evaluate: {directory.path / training.THRESHOLDS_FILE}: thresholds from "
            f"{thresholds.origin()}; mean F1 {100 * thresholds.mean_f1:.1f}",
            file=sys.stderr,
        )
    return training.evaluate(model, test, cached=cached[0], **how)


def show(options: argparse.Namespace) -> None:
    evaluation = measure(options)
    print(json.dumps(evaluation.as_dict(), indent=2) if options.json else evaluation.as_table())


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_code("evaluate", lambda: show(options))


if __name__ == "__main__":
    sys.exit(main())
