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
import io
import json
import pathlib
import re
import sys
from collections.abc import Iterator

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import tqdm
from PIL import Image
from shared_options import positive

from keras_patchpu import serving
from keras_patchpu.errors import InputError
from keras_patchpu.overlay import draw_overlay


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
    parser.add_argument(
        "--top",
        type=positive,
        help="labels to print, and to draw by --overlay; default: print all, draw the best one",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a JSON object a line: file, status and, of a picture that was answered, "
        "labels, label_scores and the scores of all labels",
    )
    parser.add_argument(
        "--overlay",
        metavar="DIR",
        type=pathlib.Path,
        help="write DIR/<name>.<rank>-<label>.png: the picture, and in red where the label is",
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
    """Asks about files one after the other; counts those that were `bad`."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.bad = 0
        # File and content of the pictures whose answers are awaited.
        self.asked: collections.deque[tuple[str, bytes]] = collections.deque()
        self.width = max(len(file) for file in options.images)
        self.stems: set[str] = set()

    def run(self) -> None:
        options = self.options
        if options.overlay:
            options.overlay.mkdir(parents=True, exist_ok=True)
        with serving.Client(options.url, options.timeout) as client:
            answers = client.predict_many(self.contents(), options.parallel)
            total = len(options.images)
            # None: shown on a terminal only.
            for answer in tqdm.tqdm(answers, total=total, leave=False, unit="image", disable=None):
                self.show(*self.asked.popleft(), answer)

    def contents(self) -> Iterator[bytes]:
        """The files that can be read."""
        for file in self.options.images:
            try:
                content = pathlib.Path(file).read_bytes()
            except OSError as error:
                self.complain(file, error.strerror or "cannot be read")
                continue
            self.asked.append((file, content))
            yield content

    def complain(self, file: str, reason: str) -> None:
        self.bad += 1
        write(f"query: {file}: {reason}", sys.stderr)

    def show(self, file: str, content: bytes, answer: serving.Answer) -> None:
        if not answer.ok:
            self.complain(file, answer.status)
        labels = answer.labels[: self.options.top]
        label_scores = answer.label_scores[: self.options.top].tolist()
        if self.options.json:
            line = {"file": file, "status": answer.status}
            if answer.ok:
                line |= {"labels": labels, "label_scores": label_scores}
                line["scores"] = answer.scores.tolist()
            write(json.dumps(line), sys.stdout)
        elif answer.ok:
            pairs = zip(labels, label_scores, strict=True)
            text = "  ".join(f"{label} {100 * score:.1f}%" for label, score in pairs)
            write(f"{file:{self.width}}  {text}", sys.stdout)
        if self.options.overlay and answer.ok:
            self.draw(file, content, answer)

    def draw(self, file: str, content: bytes, answer: serving.Answer) -> None:
        try:
            picture = Image.open(io.BytesIO(content))
            picture.load()
        except (OSError, SyntaxError, ValueError) as error:  # PIL is stricter than the server
            self.complain(file, f"no overlay: {error}")
            return
        stem = self.free_stem(file)
        for rank in range(min(self.options.top or 1, len(answer.labels))):
            label, score = answer.labels[rank], answer.label_scores[rank]
            overlay = draw_overlay(picture, answer.attention_maps[rank], label, score)
            name = cut(re.sub(r"[^\w-]+", "_", label), 60)
            overlay.save(self.options.overlay / f"{stem}.{rank + 1}-{name}.png")

    def free_stem(self, file: str) -> str:
        """The file's stem, with a number behind it if another picture has the same."""
        stem = first = cut(pathlib.Path(file).stem, 150)
        number = 1
        while stem.casefold() in self.stems:
            number += 1
            stem = f"{first}-{number}"
        self.stems.add(stem.casefold())
        return stem


def cut(text: str, most_bytes: int) -> str:
    """The start of a text, for a file name cannot have more than 255 bytes."""
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def write(line: str, stream) -> None:
    """Prints a line above the progress bar; escapes what the terminal's encoding lacks."""
    encoding = stream.encoding or "utf-8"
    line = line.encode(encoding, "backslashreplace").decode(encoding)
    tqdm.tqdm.write(line, stream)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    query = Query(options)
    try:
        query.run()
    except (InputError, OSError) as error:
        write(f"query: {error}", sys.stderr)
        return 2
    except KeyboardInterrupt:
        write("query: stopped", sys.stderr)
        return 130
    return 1 if query.bad else 0


if __name__ == "__main__":
    sys.exit(main())
