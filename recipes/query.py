"""Ask a model that TF Serving serves what is on some pictures.

    python recipes/query.py cat.jpg dog.png --url http://localhost:8501/v1/models/digits-wn-0
    python recipes/query.py *.jpg --url grpc://localhost:8500/v1/models/digits-wn-0 --overlay seen

A line a picture on standard output: the file, then the labels that the model names, best first,
each with its score. gRPC needs `pip install 'keras_patchpu[serving]'`.

Exit code 0: every picture was answered; 1: some file could not be read or is no picture, each with
a line on standard error; 2: the server or the model could not be asked.
"""

import argparse
import collections
import sys
from collections.abc import Iterator

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import answers
import tqdm
from shared_options import positive
from terminal import exit_code

from keras_patchpu import serving
from keras_patchpu.data.picture_files import read_picture


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="JPEG, PNG, GIF or BMP files")
    parser.add_argument(
        "--url",
        required=True,
        help="http://HOST:PORT/v1/models/NAME, https://... or grpc://...; add /versions/VERSION or "
        "/labels/LABEL for another version than the newest one",
    )
    answers.add_output_options(
        parser,
        "labels to print, and to draw by --overlay; default: print all, draw the best one",
        ". The map of the finest patches is drawn over the whole picture, which they cover where "
        "their size divides that of the model's images and resize is stretch; predict.py draws it "
        "in its place",
    )
    parser.add_argument(
        "--timeout", type=seconds, default=30.0, help="seconds for an answer; default: 30"
    )
    parser.add_argument("--parallel", type=positive, default=8, help="requests; default: 8")
    return parser.parse_args(arguments)


def seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:  # neither is infinity or NaN
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds above 0")
    return number


class Query:
    """Asks about files one after the other."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        # Files whose answers are awaited, with their content, or why they cannot be read.
        self.asked: collections.deque[tuple[str, bytes | str]] = collections.deque()
        self.writer = None

    def run(self) -> int:
        """Shows the answers, and gives the number of bad pictures."""
        options = self.options
        self.writer = answers.AnswerWriter("query", options, max(map(len, options.images)))
        with serving.Client(options.url, options.timeout) as client:
            received = client.predict_many(self.contents(), options.parallel)
            total = len(options.images)
            # None: shown on a terminal only.
            for answer in tqdm.tqdm(received, total=total, leave=False, unit="image", disable=None):
                self.show_unreadable()
                self.show(*self.asked.popleft(), answer)
            self.show_unreadable()
        return self.writer.bad

    def contents(self) -> Iterator[bytes]:
        """The files that can be read."""
        for file in self.options.images:
            try:
                content = read_picture(file)
            except OSError as error:
                self.asked.append((file, error.strerror or "cannot be read"))
                continue
            self.asked.append((file, content))
            yield content

    def show_unreadable(self) -> None:
        """Those before the file that is answered next."""
        while self.asked and isinstance(self.asked[0][1], str):
            file, reason = self.asked.popleft()
            self.writer.show(file, answers.unreadable(reason), [])

    def show(self, file: str, content: bytes, answer: serving.Answer) -> None:
        top = self.options.top
        scored = list(zip(answer.labels, answer.label_scores.tolist(), strict=True))
        self.writer.show(file, answer, scored[:top])
        if self.options.overlay and answer.ok:
            located = zip(answer.labels, answer.label_scores, answer.attention_maps, strict=True)
            self.writer.draw(file, content, list(located)[: top or 1])


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    return exit_code("query", Query(options).run)


if __name__ == "__main__":
    sys.exit(main())
