"""How answers about pictures are shown: a table or JSON on standard output, and overlays."""

import argparse
import io
import json
import pathlib
import re
import sys
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image
from shared_options import positive
from terminal import write

from keras_patchpu import serving
from keras_patchpu.overlay import draw_overlay
from keras_patchpu.printable import printable


def add_output_options(
    parser: argparse.ArgumentParser, top_help: str, overlay_help: str = ""
) -> None:
    """Adds `--top`, `--json` and `--overlay`, to whose help `overlay_help` is added."""
    parser.add_argument("--top", type=positive, help=top_help)
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
        help="write DIR/<name>.<rank>-<label>.png: the picture, and in red where the label is"
        + overlay_help,
    )


class AnswerWriter:
    """Shows one answer after the other, and counts the pictures that were `bad`.

    Args:
        program: its name, before each line on standard error.
        options: those of `add_output_options`.
        width: of the column of the files.
        place: from a label's map and the picture's height and width to the map `(h, w)` that covers
            the picture, where the label's own does not.
    """

    def __init__(
        self,
        program: str,
        options: argparse.Namespace,
        width: int,
        place: Callable[[np.ndarray, int, int], np.ndarray] | None = None,
    ):
        self.program = program
        self.options = options
        self.width = width
        self.place = place
        self.bad = 0
        # The names of the overlays so far, and the last number behind each.
        self.stems: dict[str, int] = {}
        if options.overlay:
            options.overlay.mkdir(parents=True, exist_ok=True)

    def complain(self, file: str, reason: str) -> None:
        self.bad += 1
        self.note(f"{printable(file)}: {reason}")

    def note(self, text: str) -> None:
        write(f"{self.program}: {text}", sys.stderr)

    def show(self, file: str, answer: serving.Answer, shown: Sequence[tuple[str, float]]) -> None:
        """Prints a picture's labels and their scores, or complains of it.

        Args:
            file: the picture's.
            answer: about it.
            shown: which labels to show, with their scores, best first.
        """
        if not answer.ok:
            self.complain(file, answer.status)
        if self.options.json:
            line = {"file": file, "status": answer.status}
            if answer.ok:
                line["labels"] = [label for label, _ in shown]
                line["label_scores"] = [score for _, score in shown]
                line["scores"] = answer.scores.tolist()
            write(json.dumps(line), sys.stdout)
        elif answer.ok:
            text = "  ".join(f"{label} {100 * score:.1f}%" for label, score in shown)
            write(f"{printable(file):{self.width}}  {text or '-'}", sys.stdout)

    def draw(
        self, file: str, content: bytes, located: Iterable[tuple[str, float, np.ndarray]]
    ) -> None:
        """Writes an overlay for each label.

        Args:
            file: the picture's.
            content: of it.
            located: labels with their scores and maps, best first.
        """
        try:
            picture = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "GIF", "BMP"))
            picture.load()
        except Exception as error:  # PIL is stricter than the server, and stumbles in any way
            self.complain(file, f"no overlay: {error}")
            return
        stem = self.free_stem(file)
        for rank, (label, score, attention_map) in enumerate(located, 1):
            if self.place is not None:
                attention_map = self.place(attention_map, picture.height, picture.width)
            overlay = draw_overlay(picture, attention_map, label, score)
            name = cut(re.sub(r"[^\w-]+", "_", label), 60)
            overlay.save(self.options.overlay / f"{stem}.{rank}-{name}.png")

    def free_stem(self, file: str) -> str:
        """The file's stem, with a number behind it if another picture has the same."""
        first = cut(pathlib.Path(file).stem, 150)
        number = self.stems.get(first.casefold(), 0) + 1
        stem = first if number == 1 else f"{first}-{number}"
        while stem.casefold() in self.stems:
            number += 1
            stem = f"{first}-{number}"
        self.stems[first.casefold()] = number
        self.stems.setdefault(stem.casefold(), 1)
        return stem


def unreadable(reason: str) -> serving.Answer:
    """What stands for the answer about a file that cannot be read."""
    return serving.Answer(np.zeros(0), [], np.zeros(0), np.zeros((0, 1, 1)), reason)


def cut(text: str, most_bytes: int) -> str:
    """The start of a text, for a file name cannot have more than 255 bytes."""
    return text.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")
