"""Files that appear whole or not at all."""

import pytest

from keras_patchpu.errors import InputError
from keras_patchpu.whole_file import replaced_whole

ADVICE = "see to the disk"


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with replaced_whole(path, ADVICE) as unfinished:
        assert unfinished.suffix == ".txt"
        unfinished.write_text("aft")
        assert path.read_text() == "before"
        unfinished.write_text("after")
    assert path.read_text() == "after"
    assert files_in(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_leaves_the_file_before(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(error), replaced_whole(path, ADVICE) as unfinished:
        unfinished.write_text("aft")
        raise error
    assert path.read_text() == "before"
    assert files_in(tmp_path) == ["a.txt"]


def test_an_error_before_anything_is_written(tmp_path):
    with pytest.raises(RuntimeError), replaced_whole(tmp_path / "a.txt", ADVICE):
        raise RuntimeError
    assert files_in(tmp_path) == []


def test_what_a_killed_process_left_is_written_over(tmp_path):
    path = tmp_path / "a.txt"
    (tmp_path / ".unfinished-a.txt").write_text("much more than what follows")
    with replaced_whole(path, ADVICE) as unfinished:
        unfinished.write_text("after")
    assert path.read_text() == "after"
    assert files_in(tmp_path) == ["a.txt"]


def test_a_full_disk_is_told_in_a_line(tmp_path, files_of_at_most):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with files_of_at_most(100), pytest.raises(InputError) as error:
        with replaced_whole(path, ADVICE) as unfinished:
            unfinished.write_text("a" * 1000)
    assert str(error.value).startswith(f"{path} cannot be written (")
    assert str(error.value).endswith(": see to the disk") and "\n" not in str(error.value)
    assert path.read_text() == "before" and files_in(tmp_path) == ["a.txt"]


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        with replaced_whole(tmp_path / "nowhere" / "a.txt", ADVICE) as unfinished:
            unfinished.write_text("a")
