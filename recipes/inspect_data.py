"""Look into a data set before training on it: what is there, and all that is wrong with it.

    python recipes/inspect_data.py --data /path/to/VOCdevkit
    python recipes/inspect_data.py --data digits --sheet digits.png
    python recipes/inspect_data.py --images photos --labels labels.csv --test-labels test.csv

Prints, of the training and the test split: images beside the number that the official split has,
how often each label is there and which ones are together, labels an image, what part of the
positives is left when one an image is kept, sizes and kinds of the pictures; then every row of the
CSV files that cannot be used, with its line number, every picture that training cannot read, and
the pictures that are there twice, in files that are the same or only look the same.

--data takes what train_voc.py takes. For your own pictures, --labels is a CSV file in one of two
forms, with its header; train_folder.py takes the same:

    file,label                one positive label a row; a file may have several rows
    beach/01.jpg,sea

    file,sea,dog,boat         1: it is there, -1: it is not, 0 or nothing: not known
    beach/01.jpg,1,,-1

--test-labels has the same forms, but says the whole truth of other pictures: what it does not list
is absent, and so is a 0; only an empty cell is not known.

Exit code 0: nothing wrong was found; 1: rows that cannot be used, broken pictures, or pictures that
are in both splits; 2: the data cannot be read at all.
"""

import argparse
import json
import os
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import shared_options

from keras_patchpu import data, inspection
from keras_patchpu.errors import InputError


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shared_options.add_data_option(parser)
    own = parser.add_argument_group("your own pictures, in place of --data")
    own.add_argument("--images", metavar="DIR", help="folder of the pictures")
    own.add_argument("--labels", metavar="FILE.csv", help="what is known of them")
    own.add_argument("--test-labels", metavar="FILE.csv", help="the truth of test pictures")
    own.add_argument("--test-images", metavar="DIR", help="their folder; default: --images")
    parser.add_argument("--json", action="store_true", help="print JSON, which has more")
    parser.add_argument(
        "--sheet",
        metavar="FILE.png",
        help="write a sheet of 24 training pictures with their labels and boxes",
    )
    options = parser.parse_args(arguments)
    if bool(options.images) != bool(options.labels):
        parser.error("--images and --labels go together")
    if options.images and options.data:
        parser.error("give --data or --images, not both")
    if options.test_labels and not options.images:
        parser.error("--test-labels goes with --images and --labels")
    if options.test_images and not options.test_labels:
        parser.error("--test-images goes with --test-labels")
    if options.sheet and not options.sheet.lower().endswith(".png"):
        parser.error(f"--sheet {options.sheet}: give a name that ends with .png")
    return options


def read_splits(options: argparse.Namespace) -> tuple[list[data.Examples], list[tuple[str, ...]]]:
    """The splits, and for each what is wrong with the rows of its CSV file."""
    if not options.images:
        # ReaL has no training split.
        splits = [split for split in data.read_source(options.data) if len(split)]
        return splits, [()] * len(splits)
    scans = [data.scan_folder(options.images, options.labels, "train")]
    if options.test_labels:
        folder = options.test_images or options.images
        names = scans[0][0].label_names
        scans.append(
            data.scan_folder(folder, options.test_labels, "test", truth=True, label_names=names)
        )
    splits, bad_rows = zip(*scans, strict=True)
    return list(splits), list(bad_rows)


def write_sheet(train: data.Examples, file: str) -> None:
    """Samples; where the truth is known, with the positive that training sees by default."""
    observed = None
    if train.truth_known:
        observed = data.draw_single_positive(train.labels, seed=0, keys=train.keys)
    inspection.save_sheet(inspection.draw_sample_sheet(train, observed=observed), file)


def show(text: str) -> None:
    """Prints; escapes what the terminal's encoding lacks, and bears it if nobody reads on."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)
    except BrokenPipeError:
        # Python flushes once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        splits, bad_rows = read_splits(options)
        if options.sheet:  # first, for it takes seconds and may fail
            write_sheet(splits[0], options.sheet)
        report = inspection.inspect_splits(splits, bad_rows)
    except (InputError, OSError) as error:
        print(f"inspect_data: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("inspect_data: stopped", file=sys.stderr)
        return 130
    show(json.dumps(report, indent=2) if options.json else inspection.inspection_as_text(report))
    return 1 if any(report["problems"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
