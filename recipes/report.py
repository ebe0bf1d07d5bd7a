"""Write the report of a finished run or of a comparison anew: one page, `report.html`, to be read.

    python recipes/report.py runs/voc2012-wn-0 --data /path/to/VOCdevkit
    python recipes/report.py runs/digits-wn-0 --data digits
    python recipes/report.py runs/photos-wn-0 --images photos --test-labels test.csv
    python recipes/report.py comparisons/voc

Every training and every comparison ends with one; this is for those of before, and for a report
that could not be written. That of a run takes the time to score its test images, and 2,000 of its
training images if what was observed of them is on record: in the run's observed.csv, or in
--labels. The page needs no network, and no file beside it.
"""

import argparse
import pathlib
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import evaluate
import numpy as np
import shared_options
from terminal import exit_code

from keras_patchpu import data, reporting, training


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "run", metavar="RUN|COMPARISON", help="the directory of a finished run or of a comparison"
    )
    shared_options.add_data_option(parser)
    shared_options.add_cache_option(parser)
    return shared_options.parse_with_folder(parser, arguments)


def write(options: argparse.Namespace) -> pathlib.Path:
    """Writes the report of whichever it is."""
    if (pathlib.Path(options.run) / reporting.GRID).exists():
        return reporting.write_comparison_report(options.run)
    directory = training.RunDirectory(options.run)
    _, config = training.read_config(directory)
    return reporting.write_run_report(
        directory,
        evaluate.read_test(options, config),
        read_learnt_from(options, directory, config),
        shared_options.picture_cache(options),
    )


def read_learnt_from(
    options: argparse.Namespace, directory: training.RunDirectory, config: dict
) -> reporting.TrainingLabels | None:
    """The training images and what was observed of them, if that is on record."""
    if options.labels:
        given = data.read_training_folder(options.images, options.labels)
        train, _ = data.hold_out(given, config["seed"])
        return reporting.TrainingLabels(train, data.known_labels(train))
    file = directory.path / "observed.csv"
    if options.images or not file.exists():
        return None
    (train,) = data.read_source(options.data, config["seed"], ["train"])
    train = data.drop_unlabelled(train)
    observed = data.read_observed(file, train)
    held_out = data.held_out_first(train, config["seed"], config.get("num_validation", 0))
    kept = np.flatnonzero(~held_out)
    return reporting.TrainingLabels(train.select(kept), observed[kept])


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_code("report", lambda: print(f"report  {write(options)}"))


if __name__ == "__main__":
    sys.exit(main())
