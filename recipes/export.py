"""Export a trained model once more, as the next version of its SavedModel.

    python recipes/export.py runs/voc2012-wn-0

TF Serving watches saved_models/<name of the run> and takes up a new version when it appears.
Prints where the version is and, on standard error, how to serve and to ask it.
"""

import argparse
import pathlib
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
from shared_options import positive
from terminal import exit_code, write

from keras_patchpu import serving, training


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="the directory of a finished training run")
    parser.add_argument("--version", type=positive, help="default: the next number that is free")
    parser.add_argument("--saved-models", default="saved_models", help="default: saved_models")
    return parser.parse_args(arguments)


def export(options: argparse.Namespace) -> None:
    directory = training.RunDirectory(options.run)
    recipe, config = training.read_config(directory)
    model = training.load_trained(directory, recipe, config)
    folder = pathlib.Path(options.saved_models) / directory.path.resolve().name
    target = serving.export(model, folder, config["label_names"], options.version, recipe.resize)
    write(str(target), sys.stdout)
    write(serving.how_to_serve(folder), sys.stderr)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_code("export", lambda: export(options))


if __name__ == "__main__":
    sys.exit(main())
