import json

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import evaluation_batches, read_imagenet_real
from keras_patchpu.errors import InputError

SYNSETS = (
    "n01440764 tench, Tinca tinca\nn02012849 crane\nn03126707 crane\nn15075141 toilet tissue\n"
)
REAL = [[3], [], [0, 2], [1]]


@pytest.fixture
def real(tmp_path):
    """Four pictures, of which the second has no label."""
    (tmp_path / "real.json").write_text(json.dumps(REAL))
    (tmp_path / "LOC_synset_mapping.txt").write_text(SYNSETS)
    (tmp_path / "val").mkdir()
    for number in range(1, 5):
        picture = tmp_path / "val" / f"ILSVRC2012_val_{number:08d}.JPEG"
        Image.new("RGB", (8, 8), "red").save(picture)
    return tmp_path


def test_reads_labels_and_paths(real):
    examples = read_imagenet_real(real)
    assert (examples.name, examples.split) == ("ImageNet-ReaL", "val")
    names = ("tench, Tinca tinca", "crane (n02012849)", "crane (n03126707)", "toilet tissue")
    assert examples.label_names == names
    assert examples.keys == tuple(f"ILSVRC2012_val_0000000{number}.JPEG" for number in (1, 3, 4))
    assert examples.images[1] == str(real / "val" / "ILSVRC2012_val_00000003.JPEG")
    assert examples.labels.dtype == np.float32
    assert examples.labels.tolist() == [[0, 0, 0, 1], [1, 0, 1, 0], [0, 1, 0, 0]]
    assert len(list(evaluation_batches(examples, 2, 8))) == 2


def test_one_folder_for_each_class_and_the_other_names(real):
    (real / "LOC_synset_mapping.txt").rename(real / "synset_words.txt")
    (real / "real.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(REAL).encode())
    (real / "val" / "n01440764").mkdir()
    picture = real / "val" / "ILSVRC2012_val_00000003.JPEG"
    picture.rename(real / "val" / "n01440764" / picture.name)
    examples = read_imagenet_real(real)
    assert examples.keys[1] == picture.name
    assert examples.images[1] == str(real / "val" / "n01440764" / picture.name)


def message_of(path):
    with pytest.raises(InputError) as error:
        read_imagenet_real(path)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_missing_files(real):
    (real / "val" / "ILSVRC2012_val_00000002.JPEG").unlink()
    assert len(read_imagenet_real(real)) == 3
    (real / "val" / "ILSVRC2012_val_00000004.JPEG").unlink()
    message = message_of(real)
    assert "1 of 3 pictures are not there, the first is ILSVRC2012_val_00000004.JPEG" in message
    (real / "val").rename(real / "pictures")
    message = message_of(real)
    assert "val: no such folder: unpack ILSVRC2012_img_val.tar" in message
    (real / "real.json").unlink()
    assert "download it from https://github.com/google-research/reassessed" in message_of(real)
    (real / "LOC_synset_mapping.txt").unlink()
    message = message_of(real)
    assert "neither LOC_synset_mapping.txt nor synset_words.txt is there: put one" in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tench\ngoldfish\n",
        "n01440764\n",
        "n15075141 toilet tissue\nn01440764 tench\n",
        "n01440764 tench\nn01440764 tench\n",
    ],
)
def test_names_at_fault(real, text):
    (real / "LOC_synset_mapping.txt").write_text(text)
    message = message_of(real)
    assert "LOC_synset_mapping.txt: expected lines such as 'n01440764 tench" in message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "not a whole JSON file"),
        ("[[1], [2", "not a whole JSON file"),
        ("{}", "not a list with the class numbers of each picture"),
        ("[]", "not a list with the class numbers of each picture"),
        ("[[], []]", "not a list with the class numbers of each picture"),
        ("[1, 2]", "not a list with the class numbers of each picture"),
        ("[[0], [4]]", "list 1 has a class that is not a number from 0 to 3"),
        ("[[0], [-1]]", "list 1 has a class that is not a number from 0 to 3"),
        ('[["tench"]]', "list 0 has a class that is not a number from 0 to 3"),
    ],
)
def test_a_json_at_fault(real, text, expected):
    (real / "real.json").write_text(text)
    message = message_of(real)
    assert message.startswith(f"{real / 'real.json'}: ") and expected in message


def test_more_lists_than_pictures(real):
    (real / "real.json").write_text(json.dumps([*REAL, [0], [1]]))
    assert "2 of 5 pictures are not there, the first is ILSVRC2012_val_00000005" in message_of(real)


def test_links_out_of_the_folder_are_refused(real):
    picture = real / "val" / "ILSVRC2012_val_00000001.JPEG"
    picture.rename(real / "a.JPEG")
    picture.symlink_to(real / "a.JPEG")
    assert f"{picture}: a link that leads out of" in message_of(real)
