"""Answers about very many pictures, in parts that several processes share out among them."""

import hashlib
import itertools
import json
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator

from keras_patchpu.data.bounded_read import read_at_most
from keras_patchpu.data.claimed_file import claimed
from keras_patchpu.errors import InputError
from keras_patchpu.whole_file import UNFINISHED, replaced_whole

PLAN = "plan.json"
_ADVICE = "see to the disk, then give the same command again"
_MOST_PLAN_BYTES = 2**24


class PredictionParts:
    """A directory of `part-000000.csv`, `part-000001.csv`, ..., each whole or not there.

    Part k has the pictures from `k * part_size` on, whoever writes it, so that each picture is in
    one part alone however many processes there are, and whatever becomes of them. `plan.json` has
    what all of them must agree on: a process that sees other pictures or has another model is
    refused.

    Args:
        out: the directory, made if it is not there; all processes must see the same one.
        list_files: gives the names of the pictures, the same ones in the same order each time.
        part_size: pictures of a part.
        model: what tells the model from others.

    Attributes:
        num_files: of all parts.
        num_parts: their number.

    Raises:
        InputError: others are at work there on something else, or it cannot be written to.
    """

    def __init__(
        self,
        out: str | os.PathLike,
        list_files: Callable[[], Iterable[str]],
        part_size: int,
        model: str,
    ):
        self.out = pathlib.Path(out)
        self.list_files = list_files
        self.part_size = part_size
        digest = hashlib.blake2b(digest_size=16)
        self.num_files = 0
        for file in list_files():
            digest.update(os.fsencode(file) + b"\0")
            self.num_files += 1
        self.num_parts = -(-self.num_files // part_size)
        self._agree(
            {
                "num_pictures": self.num_files,
                "pictures": digest.hexdigest(),
                "part_size": part_size,
                "model": model,
            }
        )

    def _agree(self, plan):
        path = self.out / PLAN
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            # One after the other: the first one writes it, and the others read it.
            with claimed(self.out / f"{UNFINISHED}plan"):
                if not path.exists():
                    with replaced_whole(path, _ADVICE) as unfinished:
                        unfinished.write_text(json.dumps(plan, indent=1) + "\n", encoding="utf-8")
            before = json.loads(read_at_most(path, _MOST_PLAN_BYTES))
        except OSError as error:
            raise InputError(f"{path} cannot be written ({error.strerror}): {_ADVICE}") from error
        except ValueError:
            before = None
        if not isinstance(before, dict):
            raise InputError(f"{path} is damaged: give another --out")
        for name, value in plan.items():
            if before.get(name) != value:
                raise InputError(
                    f"{self.out} was begun with {name} {before.get(name)}, not {value}: go on with "
                    "the same pictures and model, or give another --out"
                )

    def path(self, part: int) -> pathlib.Path:
        """Where a part is, once it is whole."""
        return self.out / f"part-{part:06}.csv"

    def num_missing(self) -> int:
        """How many parts are not written yet, by anybody."""
        return sum(not self.path(part).exists() for part in range(self.num_parts))

    def write_missing(
        self,
        num_hosts: int,
        host_id: int,
        write_part: Callable[[list[str], pathlib.Path], None],
        skipped: Callable[[int], None],
    ) -> None:
        """Writes those of one process that are not there: the parts `host_id`, `+ num_hosts`, ...

        Args:
            num_hosts: processes that share the parts.
            host_id: of this one, from 0.
            write_part: answers about these files, and writes that to that path.
            skipped: told of the number of pictures of each part that is there already.

        Raises:
            InputError: a part cannot be written.
        """
        files = iter(self.list_files())
        for part, names in enumerate(_parts(files, self.part_size)):
            if part % num_hosts != host_id:
                continue
            path = self.path(part)
            if not path.exists():
                # Somebody else may be at it, where the number of hosts was changed.
                with claimed(self.out / f"{UNFINISHED}claim-{part}"):
                    if not path.exists():
                        with replaced_whole(path, _ADVICE) as unfinished:
                            write_part(names, unfinished)
                        continue
            skipped(len(names))


def _parts(files: Iterator[str], size: int) -> Iterator[list[str]]:
    while part := list(itertools.islice(files, size)):
        yield part
