"""Measure a trained model: the table that `train_voc.py` ended with, from the saved model.

python recipes/evaluate.py runs/voc2012-wn-0 --data /path/to/VOCdevkit
python recipes/evaluate.py runs/digits-wn-0 --data digits
"""

import argparse
import json
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
from keras_patchpu import data, training
from keras_patchpu.errors import InputError


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="the directory of a finished training run")
    parser.add_argument(
        "--data",
        metavar="PATH|tfds|digits",
        help=f"default: the first of {', '.join(data.LOOKED_FOR)}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace) -> training.Evaluation:
    directory = training.RunDirectory(options.run)
    recipe, config = training.read_config(directory)
    model = training.load_model(directory.model_path)
    _, test = data.read_source(options.data, config["seed"])
    if list(test.label_names) != config["label_names"]:
        raise InputError(
            f"{options.run} was trained on the labels of {config['data']}, which are not those of "
            f"{test.name}: give its data by --data"
        )
    (cached,) = training.load_or_check([test], recipe)
    return training.evaluate(model, test, recipe.batch_size, recipe.resize, cached)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        evaluation = measure(options)
    except (InputError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    print(json.dumps(evaluation.as_dict(), indent=2) if options.json else evaluation.as_table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
