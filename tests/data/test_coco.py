import json

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import draw_single_positive, evaluation_batches, read_coco
from keras_patchpu.errors import InputError

CATEGORIES = [
    {"supercategory": "person", "id": 1, "name": "person"},
    {"supercategory": "animal", "id": 18, "name": "dog"},
    {"supercategory": "animal", "id": 17, "name": "cat"},
]
# (image id, category id, bbox, iscrowd) in pictures of 40 by 20 pixels.
OBJECTS = [
    (100, 18, [4.0, 5.0, 8.0, 10.0], 0),
    (9, 17, [0, 0, 40, 20], 1),
    (100, 1, [30.5, -1, 20, 11], 0),
    (100, 18, [0, 0, 0, 0], 0),
    (23, 1, [1, 1, 1, 1], 0),
]


def write_coco(folder, split="train", year=2014, image_ids=(100, 9, 55, 23), objects=OBJECTS):
    pictures = folder / f"{split}{year}"
    pictures.mkdir(parents=True)
    (folder / "annotations").mkdir(exist_ok=True)
    prefix = f"COCO_{split}2014_" if year == 2014 else ""
    images, annotations = [], []
    for image_id in image_ids:
        name = f"{prefix}{image_id:012d}.jpg"
        Image.new("RGB", (40, 20), (image_id % 256, 0, 0)).save(pictures / name)
        images.append(
            {
                "license": 5,
                "file_name": name,
                "coco_url": f"http://images.cocodataset.org/{split}{year}/{name}",
                "height": 20,
                "width": 40,
                "date_captured": "2013-11-14 16:28:13",
                "flickr_url": "http://farm4.staticflickr.com/a.jpg",
                "id": image_id,
            }
        )
    for number, (image_id, category, bbox, crowd) in enumerate(objects):
        outline = {"counts": [1, 2], "size": [20, 40]} if crowd else [[1.5, 2.5, 3.5, 4.5]]
        annotations.append(
            {
                "segmentation": outline,
                "area": 12.5,
                "iscrowd": crowd,
                "image_id": image_id,
                "bbox": bbox,
                "category_id": category,
                "id": 900 + number,
            }
        )
    content = {
        "info": {"year": 2014},
        "images": images,
        "licenses": [{"id": 1, "name": "a licence"}],
        "annotations": annotations,
        "categories": CATEGORIES,
    }
    file = folder / "annotations" / f"instances_{split}{year}.json"
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def coco(tmp_path):
    write_coco(tmp_path)
    return tmp_path


@pytest.fixture
def file(coco):
    return coco / "annotations" / "instances_train2014.json"


def test_reads_labels_boxes_and_paths(coco):
    examples = read_coco(coco, "train")
    assert (examples.name, examples.split) == ("COCO2014", "train")
    assert examples.label_names == ("person", "dog", "cat")
    # 55 has no objects.
    assert examples.keys == ("9", "23", "100")
    assert examples.images[2] == str(coco / "train2014" / "COCO_train2014_000000000100.jpg")
    assert examples.labels.dtype == np.float32
    assert examples.labels.tolist() == [[0, 0, 1], [1, 0, 0], [1, 1, 0]]
    expected = [[0.25, 0.1, 0.75, 0.3], [0, 0.7625, 0.5, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(examples.boxes[2], expected, atol=1e-7)
    assert examples.boxes[0].dtype == np.float32
    assert [columns.tolist() for columns in examples.box_labels] == [[2], [0], [1, 0, 1]]
    assert [crowd.tolist() for crowd in examples.box_difficult] == [[True], [False], [False] * 3]
    assert len(list(evaluation_batches(examples, 2, 8))) == 2


def test_the_published_draw_goes_by_ids_as_strings(coco):
    """By hand: "100" < "23" < "9" (MLSPL's format_coco.py), each shuffled as its code does."""
    examples = read_coco(coco, "train")
    rng, expected = np.random.RandomState(1200), {}
    for key, positives, negatives in (
        ("100", [0, 1], [2]),
        ("23", [0], [1, 2]),
        ("9", [2], [0, 1]),
    ):
        positives, negatives = np.array(positives), np.array(negatives)
        rng.shuffle(positives)
        rng.shuffle(negatives)
        expected[key] = positives[0]
    observed = draw_single_positive(examples.labels, 1200, examples.keys, draw="mlspl")
    assert dict(zip(examples.keys, observed.argmax(1), strict=True)) == expected


def test_the_year_is_what_is_there(tmp_path):
    write_coco(tmp_path, "train", 2017)
    write_coco(tmp_path, "val", 2017, image_ids=(7,), objects=[(7, 17, [1, 1, 1, 1], 0)])
    assert read_coco(tmp_path, "train").name == "COCO2017"
    assert read_coco(tmp_path, "val").images == [str(tmp_path / "val2017" / "000000000007.jpg")]
    write_coco(tmp_path, "val", 2014)
    # The val pictures of 2014 are training pictures of 2017: the years are never mixed.
    assert read_coco(tmp_path, "val").name == "COCO2017"
    assert read_coco(tmp_path, "val", year=2014).name == "COCO2014"
    write_coco(tmp_path, "train", 2014)
    assert {read_coco(tmp_path, split).name for split in ("train", "val")} == {"COCO2014"}


def test_a_byte_order_mark_and_numbers_without_a_crowd_flag(coco, file):
    content = json.loads(file.read_text())
    for item in content["annotations"]:
        del item["iscrowd"], item["segmentation"]
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(content).encode())
    assert not any(crowds.any() for crowds in read_coco(coco, "train").box_difficult)


def message_of(path, split="train", **options):
    with pytest.raises(InputError) as error:
        read_coco(path, split, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_missing_files(coco, file):
    assert "no split 'test'" in message_of(coco, "test")
    message = message_of(coco, year=2017)
    assert "instances_train2017.json: no such file" in message
    assert "http://images.cocodataset.org/annotations/annotations_trainval2017.zip" in message
    (coco / "train2014" / "COCO_train2014_000000000023.jpg").unlink()
    (coco / "train2014" / "COCO_train2014_000000000100.jpg").unlink()
    message = message_of(coco)
    assert "2 of 3 pictures are not there, the first is COCO_train2014_000000000023" in message
    assert "http://images.cocodataset.org/zips/train2014.zip" in message
    (coco / "train2014").rename(coco / "elsewhere")
    assert "train2014: no such folder: unpack" in message_of(coco)
    file.unlink()
    assert "instances_train2014.json: no such file" in message_of(coco)
    assert "instances_train2014.json: no such file" in message_of(coco / "nowhere")


@pytest.mark.parametrize("length", [0, 1, 100, -1])
def test_a_json_cut_off_anywhere(coco, file, length):
    file.write_bytes(file.read_bytes()[:length])
    assert "instances_train2014.json: not a whole JSON file" in message_of(coco)


def test_a_json_of_rubbish(coco, file):
    file.write_bytes(bytes(range(256)))
    assert "instances_train2014.json: cannot be read as text" in message_of(coco)
    file.write_text("[" * 100_000)
    assert "not a whole JSON file" in message_of(coco)


def item(part, number, **values):
    return lambda content: content[part][number].update(values)


SPOILED = {
    "captions": (lambda content: content.pop("categories"), "KeyError: 'categories'"),
    "no annotations": (lambda content: content["annotations"].clear(), "has no annotations"),
    "a list": (lambda content: content.update(images=[1]), "not as COCO writes"),
    "no list": (lambda content: content.update(annotations=None), "not as COCO writes"),
    "unknown image": (item("annotations", 1, image_id=8), "annotation 1 is of image 8 and"),
    "unknown category": (item("annotations", 2, category_id=91), "and category 91, of which one"),
    "no bbox": (lambda content: content["annotations"][0].pop("bbox"), "annotation 0 lacks"),
    "a list for an id": (item("annotations", 0, image_id=[1]), "annotation 0 lacks"),
    "short bbox": (item("annotations", 4, bbox=[1, 2, 3]), "image 23 has a bbox that is not"),
    "NaN": (item("annotations", 4, bbox=[1, 2, 3, float("nan")]), "image 23 has a bbox that"),
    "negative": (item("annotations", 0, bbox=[1, 2, -3, 4]), "image 100 has a bbox that is not"),
    "words": (item("annotations", 0, bbox=["a", 2, 3, 4]), "image 100 has a bbox that is not"),
    "no width": (item("images", 0, width=0), "an image has no height or no width"),
    "endless": (item("images", 0, height=float("inf")), "an image has no height or no width"),
    "ids in text": (item("images", 2, id="55"), "an image id is there twice or is not"),
    "twice": (item("images", 2, id=9), "an image id is there twice or is not"),
    "category twice": (item("categories", 1, name="cat"), "a category is there twice"),
    "category id twice": (item("categories", 1, id=17), "a category is there twice"),
    "leaves": (item("images", 0, file_name="../a.jpg"), "'../a.jpg' is not a file name"),
    "absolute": (item("images", 0, file_name="/etc/passwd"), "'/etc/passwd' is not a file name"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_json_at_fault(coco, file, case):
    spoil, expected = SPOILED[case]
    content = json.loads(file.read_text())
    spoil(content)
    file.write_text(json.dumps(content))
    message = message_of(coco)
    assert message.startswith(f"{file}: ") and expected in message


def test_links_out_of_the_folder_are_refused(coco, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    picture = coco / "train2014" / "COCO_train2014_000000000009.jpg"
    picture.rename(elsewhere / "a.jpg")
    picture.symlink_to(elsewhere / "a.jpg")
    message = message_of(coco)
    assert f"{picture}: a link that leads out of" in message
    # The folder of pictures itself may be somewhere else, and links may stay within it.
    picture.unlink()
    (elsewhere / "a.jpg").rename(coco / "train2014" / "a.jpg")
    picture.symlink_to("a.jpg")
    (coco / "train2014" / "round").symlink_to(".")
    (coco / "train2014").rename(elsewhere / "pictures")
    (coco / "train2014").symlink_to(elsewhere / "pictures")
    assert len(read_coco(coco, "train")) == 3
