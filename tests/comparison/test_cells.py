"""The grid, as it is written on the command line."""

import itertools
import re

import pytest

from keras_patchpu.comparison import Cell, read_grid
from keras_patchpu.errors import InputError
from keras_patchpu.losses import LOSSES
from keras_patchpu.models import MODELS


def test_a_grid():
    assert read_grid(["patch:wn,en+cl", "resnet50:an"], [3, 0]) == [
        Cell("patch", "wn", 3),
        Cell("patch", "en+cl", 3),
        Cell("resnet50", "an", 3),
        Cell("patch", "wn", 0),
        Cell("patch", "en+cl", 0),
        Cell("resnet50", "an", 0),
    ]


def test_names_are_of_plain_letters_and_no_two_are_the_same():
    cells = [Cell(*key) for key in itertools.product(MODELS, LOSSES, (0, 1, 11))]
    names = {cell.name for cell in cells}
    assert len(names) == len(cells)
    assert all(re.fullmatch(r"[a-z0-9_]+-[a-z0-9_]+-\d+", name) for name in names)
    assert Cell("patch", "en+cl", 2).name == "patch-en_cl-2"


@pytest.mark.parametrize(
    ("groups", "seeds", "named"),
    [
        ([], [0], "nothing to compare"),
        (["patch:wn"], [], "nothing to compare"),
        (["patsch:wn"], [0], "patsch"),
        (["patch:wn,xx"], [0], "xx"),
        (["patch:"], [0], "no loss ''"),
        (["patch"], [0], "no loss ''"),
        (["patch:wn,,an"], [0], "no loss ''"),
        (["patch:wn,an,wn"], [0], "patch:wn is twice in the grid"),
        (["patch:wn", "resnet50:an", "patch:wn"], [0], "patch:wn is twice in the grid"),
        (["patch:wn"], [0, 1, 0], "0 is twice in --seeds"),
    ],
)
def test_a_grid_that_is_none(groups, seeds, named):
    with pytest.raises(InputError) as error:
        read_grid(groups, seeds)
    assert named in str(error.value) and "\n" not in str(error.value)
