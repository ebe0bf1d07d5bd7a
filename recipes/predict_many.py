"""Score very many pictures, by several processes or hosts, each picture once.

    python recipes/predict_many.py saved_models/digits-wn-0 photos --out scores
    python recipes/predict_many.py runs/voc2012-wn-0 photos --out scores --num-hosts 8 --host-id 3

The model and the pictures are as for predict.py. The pictures are shared out in parts of --part
pictures, in the order of their names, and part k is the work of host k mod --num-hosts. Each part
is a file of its own, OUT/part-000000.csv and so on, which appears when it is whole: a row a picture
with its name, its status, and a column a label for its scores, empty where it is not `ok`.

Stop it whenever you like: the same command goes on with the parts that are not there. Hosts need
not know of each other, only see the same --out, model and pictures; OUT/plan.json has what they
must agree on. With another --num-hosts the parts stay the same, so that a host that is lost can be
replaced. One batch of pictures is in memory at a time, and the names of one part.

All together, once it says that no part is missing:

    python -c "import glob, pandas as p; p.concat(map(p.read_csv, glob.glob('scores/part-*.csv')))"

Exit code 0: every picture of the parts that it wrote was answered; 1: some file could not be read
or is no picture, as its status says; 2: it cannot be done; 130: stopped.
"""

import argparse
import csv
import functools
import hashlib
import itertools
import pathlib
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import predict
import tqdm
from shared_options import positive
from terminal import exit_code
from training_command import natural

from keras_patchpu import serving
from keras_patchpu.errors import InputError


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    predict.add_model_and_pictures(parser)
    parser.add_argument("--out", required=True, metavar="DIR", help="where the parts go")
    parser.add_argument("--part", type=positive, default=1000, help="pictures; default: 1000")
    parser.add_argument("--num-hosts", type=positive, default=1, metavar="N", help="default: 1")
    parser.add_argument(
        "--host-id", type=natural, default=0, metavar="I", help="of this one, from 0; default: 0"
    )
    return parser.parse_args(arguments)


def model_fingerprint(path: str) -> str:
    """Tells a model from others by what its files hold."""
    path = pathlib.Path(path)
    version = serving.find_version(path)
    if (path / "config.json").is_file():
        files = [path / "model.keras"]
    else:
        files = [version / "saved_model.pb", *sorted(version.glob("variables/variables.data-*"))]
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


class Scores:
    """Writes parts, and counts bad pictures."""

    def __init__(self, model: serving.LocalModel, bar: tqdm.tqdm):
        self.model, self.bar = model, bar
        self.num_bad = 0

    def write(self, files: list[str], path: pathlib.Path) -> None:
        names = self.model.description.label_names
        # The bytes of a file's name are written as they are, whatever they mean.
        with open(path, "w", newline="", encoding="utf-8", errors="surrogateescape") as stream:
            rows = csv.writer(stream)
            rows.writerow(["file", "status", *names])
            remaining = iter(files)
            while batch := list(itertools.islice(remaining, predict.BATCH)):
                contents = map(predict.read, batch)
                answers = predict.answers_of(self.model, list(contents))
                for file, answer in zip(batch, answers, strict=True):
                    scores = [f"{score:.6f}" for score in answer.scores] if answer.ok else []
                    rows.writerow([file, answer.status, *(scores or [""] * len(names))])
                    self.num_bad += not answer.ok
                self.bar.update(len(batch))


def work(options: argparse.Namespace) -> int:
    """Writes the parts of this host; gives the number of bad pictures in them."""
    if options.host_id >= options.num_hosts:
        raise InputError(
            f"--host-id {options.host_id} is not one of {options.num_hosts} hosts: give 0 to "
            f"{options.num_hosts - 1}"
        )
    model, _ = predict.open_model(options.model)
    list_files = functools.partial(predict.files_of, options)
    if next(list_files(), None) is None:
        raise predict.no_pictures(options)
    fingerprint = model_fingerprint(options.model)
    parts = serving.PredictionParts(options.out, list_files, options.part, fingerprint)
    share = len(range(options.host_id, parts.num_parts, options.num_hosts)) * options.part
    bar = tqdm.tqdm(total=min(share, parts.num_files), leave=False, unit="image", disable=None)
    with bar:
        scores = Scores(model, bar)
        parts.write_missing(options.num_hosts, options.host_id, scores.write, bar.update)
    print(
        f"{options.out}: {parts.num_files:,} pictures in {parts.num_parts:,} parts, "
        f"{parts.num_missing():,} of them missing"
    )
    return scores.num_bad


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_code("predict_many", lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
