"""Say what is on pictures, by a trained model on this computer.

    python recipes/predict.py runs/digits-wn-0 cat.jpg dog.png
    python recipes/predict.py saved_models/digits-wn-0 photos --top 3 --csv found.csv
    python recipes/predict.py runs/digits-wn-0 photos --threshold calibrated --overlay seen

The model is the directory of a finished run or a SavedModel, of which the newest version is taken;
both give the same answers. Pictures are JPEG, PNG, GIF or BMP files; of a folder those of all its
subfolders too, known by their suffix, in order. One batch of them is in memory at a time, however
many there are.

A line a picture on standard output: the file, then its best labels, each with its score. A score
alone does not say that the label is there; --threshold does. A number is for all labels alike,
though some labels score high and others low. `calibrated` takes each label's own threshold from
thresholds.json of the run, which evaluate.py --calibrate has found on images of known truth.

Exit code 0: every picture was answered; 1: some file could not be read or is no picture, each with
a line on standard error; 2: there is no such model, or no picture at all.
"""

import argparse
import contextlib
import csv
import itertools
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import answers
import numpy as np
import tqdm
from terminal import exit_code

from keras_patchpu import localization, serving, training
from keras_patchpu.data.picture_files import picture_files, read_picture
from keras_patchpu.errors import InputError
from keras_patchpu.printable import printable

BATCH = 16
DEFAULT_TOP = 5
CALIBRATED = "calibrated"


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_model_and_pictures(parser)
    answers.add_output_options(
        parser,
        "labels to show at most; default: 5, or with --threshold all that reach it",
        ". Of the best label, or with --top or --threshold of each that is shown and is among the "
        "5 of the highest scores, of which alone there are maps",
    )
    parser.add_argument(
        "--threshold",
        type=threshold,
        metavar="0...1|calibrated",
        help="show only labels with at least this score, or with that in the run's thresholds.json",
    )
    parser.add_argument(
        "--csv",
        metavar="FILE",
        help="write file, status, label and score of each label that is shown into this file, as "
        "they come; a picture without any has a row without label and score",
    )
    return parser.parse_args(arguments)


def add_model_and_pictures(parser: argparse.ArgumentParser) -> None:
    """Adds what `open_model` and `picture_files` take."""
    parser.add_argument(
        "model",
        metavar="RUN|SAVEDMODEL",
        help="such as runs/NAME, saved_models/NAME or one of its versions",
    )
    parser.add_argument("pictures", metavar="PICTURE|FOLDER", nargs="+")


def threshold(text: str) -> float | str:
    if text == CALIBRATED:
        return text
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not within 0 and 1")
    return number


def open_model(path: str) -> tuple[serving.LocalModel, training.RunDirectory | None]:
    """The model, and the run that it is in."""
    if (pathlib.Path(path) / "config.json").is_file():
        directory = training.RunDirectory(path)
        recipe, config = training.read_config(directory)
        model = training.load_trained(directory, recipe, config)
        return serving.LocalModel.of(model, config["label_names"], recipe.resize), directory
    if serving.find_version(pathlib.Path(path)) is None:
        raise InputError(
            f"{path} is neither the directory of a training run (no config.json) nor that of a "
            "SavedModel (no saved_model.pb, no versions): give runs/NAME or saved_models/NAME"
        )
    return serving.LocalModel.load(path), None


class Prediction:
    """Asks about files, a batch after the other."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.model = self.writer = self.thresholds = None

    def run(self) -> int:
        """Shows the answers, and gives the number of bad pictures."""
        options = self.options
        check_overlay(options)
        # All names are gone through once before, so that none has to be kept.
        total = width = 0
        for file in files_of(options):
            total, width = total + 1, max(width, len(file))
        if not total:
            raise no_pictures(options)
        self.model, directory = open_model(options.model)
        self.writer = answers.AnswerWriter("predict", options, width, self.place)
        self.thresholds = self.read_thresholds(directory)
        # None: shown on a terminal only.
        bar = tqdm.tqdm(total=total, leave=False, unit="image", disable=None)
        with bar, csv_rows(options.csv) as write_rows:
            files = files_of(options)
            while batch := list(itertools.islice(files, BATCH)):
                self.answer(batch, write_rows)
                bar.update(len(batch))
        return self.writer.bad

    def read_thresholds(self, directory: training.RunDirectory | None) -> np.ndarray | None:
        """The threshold of each label `(L,)`, NaN where it is not known; says where it is from."""
        threshold, names = self.options.threshold, self.model.description.label_names
        if threshold is None:
            return None
        if threshold != CALIBRATED:
            self.writer.note(f"scores are not calibrated: {threshold:g} is for all labels alike")
            return np.full(len(names), threshold)
        calibrated = training.Thresholds.read(directory) if directory else None
        if calibrated is None:
            raise InputError(
                f"{self.options.model} has no {training.THRESHOLDS_FILE}: recipes/evaluate.py RUN "
                "--calibrate writes it into the run, which then is to be given here"
            )
        if list(calibrated.values) != names:
            raise InputError(
                f"{directory.path / training.THRESHOLDS_FILE} is for other labels than those of "
                "the run: write it anew by recipes/evaluate.py --calibrate"
            )
        self.writer.note(f"thresholds from {calibrated.origin()}")
        if calibrated.without:
            labels = ", ".join(calibrated.without)
            self.writer.note(f"never shown, for no image there has them: {labels}")
        return np.array(list(calibrated.values.values()))

    def answer(self, files: Sequence[str], write_rows: Callable[[Iterable], None]) -> None:
        """Shows what the model says of one batch."""
        contents = [read(file) for file in files]
        answered = zip(files, contents, answers_of(self.model, contents), strict=True)
        for file, content, answer in answered:
            shown = self.choose(answer)
            self.writer.show(file, answer, shown)
            rows = [(file, answer.status, label, f"{score:.6f}") for label, score in shown]
            write_rows(rows or [(file, answer.status, "", "")])
            if self.options.overlay and answer.ok:
                maps = dict(zip(answer.labels, answer.attention_maps, strict=True))
                every = self.options.top or self.thresholds is not None
                located = [(*pair, maps[pair[0]]) for pair in shown if pair[0] in maps]
                self.writer.draw(file, content, located if every else located[:1])
                if shown and not located:
                    text = f"no overlay: there are maps of the {len(maps)} best labels alone"
                    self.writer.note(f"{printable(file)}: {text}")

    def choose(self, answer: serving.Answer) -> list[tuple[str, float]]:
        """The labels to show, with their scores, best first."""
        if not answer.ok:
            return []
        top, scores = self.options.top or DEFAULT_TOP, answer.scores
        order = np.argsort(-scores, kind="stable")
        if self.thresholds is not None:
            order = order[scores[order] >= self.thresholds[order]]
            top = self.options.top
        names = self.model.description.label_names
        return [(names[column], float(scores[column])) for column in order[:top]]

    def place(self, attention_map: np.ndarray, height: int, width: int) -> np.ndarray:
        """From the cells of the model's square to the part of it that is the picture."""
        model = self.model.description
        square = localization.dense_maps(attention_map.ravel(), model.cells, model.image_size)
        return localization.picture_part(square, height, width, model.resize)


def files_of(options: argparse.Namespace) -> Iterator[str]:
    """All pictures that are named, one after the other."""
    return itertools.chain.from_iterable(map(picture_files, options.pictures))


def check_overlay(options: argparse.Namespace) -> None:
    """Overlays are no pictures to predict, in this run or the next."""
    for folder in map(pathlib.Path, options.pictures):
        if options.overlay and folder.is_dir():
            if options.overlay.resolve().is_relative_to(folder.resolve()):
                raise InputError(
                    f"--overlay {options.overlay} is in {folder}, all of whose pictures are read: "
                    "give a folder elsewhere"
                )


def no_pictures(options: argparse.Namespace) -> InputError:
    """What is said where `files_of` gives none."""
    return InputError(f"{', '.join(options.pictures)}: no pictures in there: give others")


def read(file: str) -> bytes | str:
    """The content of a file, or why it cannot be read."""
    try:
        return read_picture(file)
    except OSError as error:
        return error.strerror or "cannot be read"


def answers_of(
    model: serving.LocalModel, contents: Sequence[bytes | str]
) -> Iterator[serving.Answer]:
    """An answer to each of what `read` gave, in the same order."""
    known = iter(model.predict([content for content in contents if isinstance(content, bytes)]))
    for content in contents:
        yield next(known) if isinstance(content, bytes) else answers.unreadable(content)


@contextlib.contextmanager
def csv_rows(file: str | None) -> Iterator[Callable[[Iterable], None]]:
    """A function that writes rows into a CSV file, or nowhere."""
    if file is None:
        yield lambda rows: None
        return
    # The bytes of a file's name are written as they are, whatever they mean.
    with open(file, "w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
        rows = csv.writer(stream)
        rows.writerow(["file", "status", "label", "score"])
        yield rows.writerows


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_code("predict", Prediction(options).run)


if __name__ == "__main__":
    sys.exit(main())
