"""The plot: it can be drawn of any state of a grid, and is whole or not there."""

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.comparison import Cell, draw_plot, group_by_loss
from keras_patchpu.errors import InputError

BLUE, ORANGE = (86, 180, 233), (230, 159, 0)


def count(path, colour):
    with Image.open(path) as image:
        return int((np.asarray(image.convert("RGB")) == colour).all(axis=-1).sum())


def test_bars(make_rows, tmp_path):
    maps = {("patch", "bce"): [20.0, 21.0], ("patch", "wn"): [10.0, 10.5], ("resnet50", "an"): [5]}
    rows = make_rows(maps, data="digits")
    draw_plot(tmp_path / "a.png", rows, "title")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG" and image.width == 1200 and image.height > 300
    # All labels once, for 20.5; one positive for 10.25 and 5.
    ratio = count(tmp_path / "a.png", ORANGE) / count(tmp_path / "a.png", BLUE)
    assert ratio == pytest.approx(20.5 / 15.25, rel=0.15)


def test_a_grid_without_a_finished_run(tmp_path):
    rows = group_by_loss([Cell("patch", "wn", 0)], [])
    draw_plot(tmp_path / "a.png", rows, "title")
    assert count(tmp_path / "a.png", BLUE) == 0


def test_it_is_whole_or_the_one_before(make_rows, tmp_path, files_of_at_most):
    rows = make_rows({("patch", "wn"): [10.0, 11.0]})
    (tmp_path / "a.png").write_text("before")
    with files_of_at_most(1000), pytest.raises(InputError, match="see to the disk"):
        draw_plot(tmp_path / "a.png", rows, "title")
    assert (tmp_path / "a.png").read_text() == "before"
    assert not list(tmp_path.glob(".unfinished*"))
