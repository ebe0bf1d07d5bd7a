"""The pictures in a folder, and the links that are refused."""

import os

import pytest

from keras_patchpu.data.on_disk import list_pictures
from keras_patchpu.errors import InputError


def test_files_of_all_subfolders(tmp_path):
    for name in ("a.jpg", "deep/er/b c.png", "ünï/ö.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "deep" / "link.jpg").symlink_to(tmp_path / "a.jpg")
    assert list_pictures(tmp_path, "") == {
        "a.jpg",
        "deep/er/b c.png",
        "ünï/ö.jpg",
        "deep/link.jpg",
    }


def test_a_link_that_leads_out(tmp_path):
    (tmp_path / "secret").touch()
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="a.jpg: a link that leads out of"):
        list_pictures(tmp_path / "pictures", "")


def test_a_link_to_itself(tmp_path):
    (tmp_path / "a.jpg").symlink_to("a.jpg")
    with pytest.raises(InputError, match="a.jpg") as error:
        list_pictures(tmp_path, "")
    assert "\n" not in str(error.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(InputError, match="closed: .*: make it readable"):
        list_pictures(tmp_path, "")


def test_no_folder(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder: unpack it"):
        list_pictures(tmp_path / "nowhere", "unpack it")
