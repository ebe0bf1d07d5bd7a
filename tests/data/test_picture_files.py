"""The pictures in a folder, in order."""

import hypothesis
import pytest
from hypothesis import strategies as st

from keras_patchpu.data.picture_files import picture_files


def make(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_pictures_of_all_subfolders_by_their_suffix(tmp_path):
    pictures = ["a.jpg", "b.JPEG", "b.png", "c/d/e.gif", "c/f.bmp", "ünï/ö.PnG", "z"]
    make(tmp_path, [*pictures[:-1], "notes.txt", "c/labels.csv", ".a.jpg", "._b.jpg", ".git/x.png"])
    (tmp_path / "dead.jpg").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "round.jpg").symlink_to(tmp_path)
    names = sorted([*pictures[:-1], "dead.jpg", "link.jpg"])
    assert list(picture_files(tmp_path)) == [f"{tmp_path}/{name}" for name in names]
    assert list(picture_files(f"{tmp_path}/")) == [f"{tmp_path}/{name}" for name in names]


@pytest.mark.parametrize("name", ["z", "a.txt", ".hidden", "nowhere"])
def test_a_file_is_given_whatever_it_is_called(tmp_path, name):
    make(tmp_path, ["z", "a.txt", ".hidden"])
    assert list(picture_files(tmp_path / name)) == [f"{tmp_path}/{name}"]


PARTS = st.text("ab.- Z/é", min_size=1, max_size=6)


@hypothesis.given(st.lists(PARTS, max_size=8))
@hypothesis.settings(max_examples=50)
def test_in_the_order_of_sorted(tmp_path_factory, parts):
    folder = tmp_path_factory.mktemp("pictures")
    made = set()
    for part in parts:
        names = [name for name in part.split("/") if name and not name.startswith(".")]
        if names:
            path = "/".join([*(f"{name}d" for name in names), "x.png"])
            make(folder, [path, f"{names[0]}.jpg"])
            made |= {path, f"{names[0]}.jpg"}
    assert list(picture_files(folder)) == sorted(f"{folder}/{name}" for name in made)
