"""Options that recipes of several kinds share."""

import argparse

from keras_patchpu import data


def add_data_option(parser: argparse.ArgumentParser, meaning: str = "") -> None:
    """Adds `--data`, which `data.read_source` takes; `meaning` comes first in its help."""
    parser.add_argument(
        "--data",
        metavar="PATH|tfds|coco-tfds|digits",
        help=f"{meaning}default: the first of {', '.join(data.LOOKED_FOR)}",
    )


def add_cache_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--cache`."""
    parser.add_argument(
        "--cache",
        metavar="DIR|none",
        help="where resized pictures are kept from run to run, 20 GB at most; default: "
        "~/.cache/keras_patchpu",
    )


def parse_with_folder(
    parser: argparse.ArgumentParser, arguments: list[str] | None
) -> argparse.Namespace:
    """Adds `--images` with `--test-labels` or `--labels`, in place of `--data`, and parses."""
    folder = parser.add_argument_group("in place of --data, as for train_folder.py")
    folder.add_argument("--images", metavar="DIR", help="folder of the pictures")
    labels = folder.add_mutually_exclusive_group()
    labels.add_argument("--test-labels", metavar="FILE.csv", help="the whole truth of them")
    labels.add_argument(
        "--labels", metavar="FILE.csv", help="what was trained on: measures the tenth held out"
    )
    options = parser.parse_args(arguments)
    if bool(options.images) != bool(options.test_labels or options.labels):
        parser.error("--images goes with --test-labels or with --labels")
    if options.images and options.data:
        parser.error("--data and --images exclude each other")
    return options


def picture_cache(options: argparse.Namespace) -> data.PictureCache | None:
    """What `--cache` asks for."""
    return None if options.cache == "none" else data.PictureCache(options.cache)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number
