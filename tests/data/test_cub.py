import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import draw_single_positive, evaluation_batches, read_cub
from keras_patchpu.errors import InputError

BIRDS = (
    "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg",
    "001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg",
    "200.Common_Yellowthroat/Common_Yellowthroat_0049_190708.jpg",
)
# <image_id> <attribute_id> <is_present> <certainty_id> <time>, one line with too many columns.
ATTRIBUTES = """1 1 0 3 27.7080
1 2 1 1 27.7080
1 3 1 4 27.7080
2 1 1 2 0
2 2 0 3 0 0 1.509
2 3 0 4 0
3 1 0 1 12.1
3 2 0 1 12.1
3 3 1 4 12.1
"""


@pytest.fixture
def cub(tmp_path):
    """Three birds, of which the second is in test, in pictures of 40 by 20 pixels."""
    folder = tmp_path / "CUB_200_2011"
    (folder / "attributes").mkdir(parents=True)
    for name in BIRDS:
        (folder / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), "green").save(folder / "images" / name)
    lines = "".join(f"{number} {name}\n" for number, name in enumerate(BIRDS, start=1))
    (folder / "images.txt").write_text(lines)
    (folder / "train_test_split.txt").write_text("1 1\n2 0\n3 1\n")
    (folder / "bounding_boxes.txt").write_text(
        "1 4.0 5.0 8.0 10.0\n2 0.0 0.0 40.0 20.0\n3 30.0 10.0 20.0 20.0\n"
    )
    (folder / "attributes" / "image_attribute_labels.txt").write_text(ATTRIBUTES)
    names = "1 has_bill_shape::curved_(up_or_down)\n2 has_bill_shape::dagger\n3 has_size::small\n"
    (tmp_path / "attributes.txt").write_text(names)
    return folder


def test_reads_labels_boxes_and_paths(cub):
    examples = read_cub(cub, "train")
    assert (examples.name, examples.split) == ("CUB-200-2011", "train")
    assert examples.label_names[:2] == (
        "has_bill_shape::curved_(up_or_down)",
        "has_bill_shape::dagger",
    )
    assert examples.keys == ("00001", "00003")
    assert examples.images[1] == str(cub / "images" / BIRDS[2])
    assert examples.labels.dtype == np.float32
    assert examples.labels.tolist() == [[0, 1, 1], [0, 0, 1]]
    np.testing.assert_allclose(examples.boxes[0], [[0.25, 0.1, 0.75, 0.3]] * 2, rtol=1e-6)
    np.testing.assert_allclose(examples.boxes[1], [[0.5, 0.75, 1, 1]], rtol=1e-6)
    assert [columns.tolist() for columns in examples.box_labels] == [[1, 2], [2]]
    assert not any(flags.any() for flags in examples.box_difficult)
    assert len(list(evaluation_batches(examples, 1, 8))) == 2
    assert read_cub(cub, "test").labels.tolist() == [[1, 0, 0]]


def test_the_folder_above_and_attributes_in_either_place(cub):
    expected = read_cub(cub.parent, "train")
    (cub.parent / "attributes.txt").rename(cub / "attributes" / "attributes.txt")
    assert read_cub(cub.parent, "train").images == expected.images
    assert read_cub(cub, "train").label_names == expected.label_names


def test_the_published_draw_goes_in_the_order_of_the_list(cub):
    """The lists of MLSPL's format_cub.py are in the order of images.txt, not of the file names."""
    (cub / "train_test_split.txt").write_text("1 1\n2 1\n3 1\n")
    examples = read_cub(cub, "train")
    rng, expected = np.random.RandomState(1200), []
    for positives, negatives in (([1, 2], [0]), ([0], [1, 2]), ([2], [0, 1])):
        positives, negatives = np.array(positives), np.array(negatives)
        rng.shuffle(positives)
        rng.shuffle(negatives)
        expected.append(positives[0])
    observed = draw_single_positive(examples.labels, 1200, examples.keys, draw="mlspl")
    assert observed.argmax(axis=1).tolist() == expected


def test_a_part_of_the_data_set_in_any_order(cub):
    for name in ("images.txt", "train_test_split.txt", "bounding_boxes.txt"):
        lines = (cub / name).read_text().splitlines()
        (cub / name).write_text("\n".join([lines[2], "", lines[0]]))
    labels = cub / "attributes" / "image_attribute_labels.txt"
    kept = [line for line in ATTRIBUTES.splitlines() if line[0] != "2"]
    labels.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(reversed(kept)).encode())
    examples = read_cub(cub, "train")
    assert examples.keys == ("00001", "00003")
    assert examples.labels.tolist() == [[0, 1, 1], [0, 0, 1]]


def message_of(path, split="train"):
    with pytest.raises(InputError) as error:
        read_cub(path, split)
    message = str(error.value)
    assert "\n" not in message
    return message


FILES = (
    "images.txt",
    "train_test_split.txt",
    "bounding_boxes.txt",
    "attributes/image_attribute_labels.txt",
    "../attributes.txt",
)


@pytest.mark.parametrize("name", FILES)
def test_missing_and_empty_files(cub, name):
    (cub / name).write_text("")
    assert "empty: unpack CUB_200_2011.tgz" in message_of(cub)
    (cub / name).unlink()
    message = message_of(cub)
    assert name.rsplit("/", 1)[-1] in message and "https://data.caltech.edu" in message


@pytest.mark.parametrize("name", FILES)
def test_binary_rubbish(cub, name):
    (cub / name).write_bytes(bytes(range(256)) * 9)
    assert name.rsplit("/", 1)[-1] in message_of(cub)


def test_splits_and_missing_pictures(cub):
    assert "no split 'val'" in message_of(cub, "val")
    (cub / "images" / BIRDS[2]).unlink()
    message = message_of(cub)
    assert "1 of 2 pictures are not there, the first is 200.Common" in message
    (cub / "images" / BIRDS[2]).write_text("dear diary")
    assert f"{cub / 'images' / BIRDS[2]}: truncated or not a JPEG" in message_of(cub)


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("images.txt", "2 001", "1 001", "cannot read the line '1 001.Black"),
        ("images.txt", "2 001", "two 001", "cannot read the line 'two 001"),
        ("images.txt", BIRDS[1], "", "cannot read the line '2 '"),
        ("images.txt", BIRDS[0], "../secret.jpg", "'../secret.jpg' is not a picture"),
        ("images.txt", BIRDS[0], "/etc/passwd", "'/etc/passwd' is not a picture"),
        ("train_test_split.txt", "2 0\n", "", "image 2 is only in one of it and images.txt"),
        ("train_test_split.txt", "3 1", "4 1", "image 3 is only in one of it and images.txt"),
        ("train_test_split.txt", "1 1\n2 0\n3 1", "1 0\n2 0\n3 0", "no image is in train"),
        ("bounding_boxes.txt", "5.0 8.0", "5.0", "'4.0 5.0 10.0' is not x, y, width and height"),
        ("bounding_boxes.txt", "5.0 8.0", "five 8.0", "is not x, y, width and height"),
        ("bounding_boxes.txt", "5.0 8.0", "nan 8.0", "is not x, y, width and height"),
        ("../attributes.txt", "3 has", "4 has", "the ids do not count from 1 to 3"),
    ],
)
def test_tables_at_fault(cub, name, old, new, expected):
    text = (cub / name).read_text()
    assert old in text
    (cub / name).write_text(text.replace(old, new, 1))
    message = message_of(cub)
    assert name.rsplit("/", 1)[-1] in message and expected in message


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("3 3 1 4 12.1\n", "", "has 8 lines, but expected one for each of 3 images and 3"),
        ("3 3 1 4 12.1\n", "3 2 1 4 12.1\n", "has 9 lines, but expected one for each of 3"),
        ("3 3 1 4 12.1\n", "3 3 1 4 12.1\n" * 2, "has 10 lines, but expected one for each of 3"),
        ("3 3 1", "4 3 1", "entry 9 is of image 4 and attribute 3 with 1: expected an id"),
        ("3 3 1", "3 4 1", "entry 9 is of image 3 and attribute 4 with 1: expected an id"),
        ("3 3 1", "3 0 1", "entry 9 is of image 3 and attribute 0 with 1: expected an id"),
        ("3 3 1", "3 3 7", "entry 9 is of image 3 and attribute 3 with 7: expected an id"),
        ("1 2 1", "1 two 1", "cannot be read"),
        ("3 3 1 4 12.1", "3 3", "cannot be read"),
    ],
)
def test_attribute_labels_at_fault(cub, old, new, expected):
    assert old in ATTRIBUTES
    file = cub / "attributes" / "image_attribute_labels.txt"
    file.write_text(ATTRIBUTES.replace(old, new, 1))
    message = message_of(cub)
    assert message.startswith(f"{file}: ") and expected in message


def test_links_out_of_the_folder_are_refused(cub):
    picture = cub / "images" / BIRDS[0]
    picture.rename(cub / "a.jpg")
    picture.symlink_to(cub / "a.jpg")
    assert f"{picture}: a link that leads out of" in message_of(cub)
