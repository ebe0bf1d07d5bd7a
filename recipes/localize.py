"""Measure how well a trained model says where the labels are.

python recipes/localize.py runs/voc2012-wn-0 --data /path/to/VOCdevkit
python recipes/localize.py runs/digits-wn-0 --data digits
python recipes/localize.py runs/voc2012-resnet50-wn-0 --data /path/to/VOCdevkit --method grad-cam

Of each label that is in a test picture, and of its boxes there, in percent:

  pointing  how often the maximum of its map lies within 15 pixels of one of its boxes
  centre    how often the middle of the picture does: photographers point at things
  random    how often a pixel drawn at random does
  energy    how much of the map's sum lies inside its boxes
  area      how much of the picture does: the energy of a flat map

A label that is not there has no boxes and is not asked for. The means are over labels.
"""

import argparse
import json
import math
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import shared_options
from terminal import exit_code

from keras_patchpu import data, training
from keras_patchpu.localization.label_maps import METHODS, LabelMaps
from keras_patchpu.metrics.pointing_game import TOLERANCE


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="the directory of a finished training run")
    shared_options.add_data_option(parser)
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="what the maps are; default: cam for a model that has class activation maps "
        "(resnet50), attention for the others; shifted is the attention in cells of a quarter "
        "patch, and takes 49 times as long",
    )
    parser.add_argument(
        "--tolerance",
        type=pixels,
        metavar="PIXELS",
        help=f"of the original pictures; default: {TOLERANCE:g}, and 0 on the scenes of digits, "
        "which are 96 pixels wide",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    shared_options.add_cache_option(parser)
    return parser.parse_args(arguments)


def pixels(text: str) -> float:
    number = float(text)
    if not 0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number of pixels, 0 or more")
    return number


def measure(options: argparse.Namespace) -> training.LocalizationEvaluation:
    directory = training.RunDirectory(options.run)
    recipe, config = training.read_config(directory)
    (test,) = data.read_source(options.data, config["seed"], ["test"])
    training.check_labels(directory, config, test, "give its data by --data")
    tolerance = options.tolerance
    if tolerance is None:
        tolerance = 0.0 if test.name == "digits" else TOLERANCE
    training.boxed_labels(test)  # before anything that takes time
    label_maps = LabelMaps(training.load_trained(directory, recipe, config), options.method)
    (cached,) = training.load_or_check([test], recipe, shared_options.picture_cache(options))
    return training.evaluate_localization(
        label_maps, test, recipe.batch_size, recipe.resize, cached, tolerance
    )


def show(options: argparse.Namespace) -> None:
    evaluation = measure(options)
    print(json.dumps(evaluation.as_dict(), indent=2) if options.json else evaluation.as_table())


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_code("localize", lambda: show(options))


if __name__ == "__main__":
    sys.exit(main())
