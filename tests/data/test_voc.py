import os
import shutil

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.data import VOC_LABELS, drop_unlabelled, read_voc
from keras_patchpu.errors import InputError


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.fixture
def voc(tmp_path, make_voc):
    """A VOC2012 folder: train is 2008_000000 to 2008_000005."""
    return make_voc(tmp_path) / "VOC2012"


def column(name):
    return VOC_LABELS.index(name)


def names_of(labels):
    return {VOC_LABELS[i] for i in np.flatnonzero(labels == 1)}


def test_reads_labels_boxes_and_paths(voc):
    examples = read_voc(voc, "train")
    assert (examples.name, examples.split, len(examples)) == ("VOC2012", "train", 6)
    assert examples.label_names == VOC_LABELS and len(VOC_LABELS) == 20
    assert list(VOC_LABELS) == sorted(VOC_LABELS)
    assert examples.keys[0] == "2008_000000.jpg"
    assert examples.images[0] == str(voc / "JPEGImages" / "2008_000000.jpg")
    assert [names_of(row) for row in examples.labels[:3]] == [
        {"cat"},
        {"dog", "person"},
        {"person"},
    ]
    assert examples.labels.dtype == np.float32 and examples.labels.shape == (6, 20)
    assert [len(boxes) for boxes in examples.boxes] == [2, 2, 1, 3, 1, 2]
    assert examples.box_labels[0].tolist() == [column("cat"), column("chair")]
    assert examples.box_difficult[0].tolist() == [False, True]


def test_boxes_are_fractions_of_the_painted_pixels(voc):
    examples = read_voc(voc, "train")
    pixels = np.asarray(Image.open(examples.images[0])).astype(int)
    red = (pixels[..., 0] - pixels[..., 1]) > 100
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    height, width = red.shape
    expected = [
        rows[0] / height,
        columns[0] / width,
        (rows[-1] + 1) / height,
        (columns[-1] + 1) / width,
    ]
    np.testing.assert_allclose(examples.boxes[0][0], expected, rtol=1e-6)
    # VOC's pixel 1 is the first: this box begins at the very edge.
    np.testing.assert_allclose(examples.boxes[0][1], [0, 0, 5 / height, 5 / width], rtol=1e-6)


def test_boxes_that_leave_the_picture_are_clipped(voc):
    edit(voc / "Annotations" / "2008_000000.xml", "<xmin>1</xmin>", "<xmin>-7.5</xmin>")
    edit(voc / "Annotations" / "2008_000000.xml", "<ymax>5</ymax>", "<ymax>500</ymax>")
    np.testing.assert_allclose(read_voc(voc, "train").boxes[0][1], [0, 0, 1, 5 / 64], rtol=1e-6)


def test_devkit_its_parent_and_the_folder_are_the_same(voc, monkeypatch):
    expected = read_voc(voc, "val")
    for path in (voc.parent, voc.parent.parent, str(voc)):
        assert read_voc(path, "val").images == expected.images
    monkeypatch.chdir(voc)
    assert read_voc(".", "val").name == "VOC2012"


def test_voc2007_is_read_when_named_or_alone(voc):
    shutil.copytree(voc, voc.parent / "VOC2007")
    assert read_voc(voc.parent / "VOC2007", "train").name == "VOC2007"
    assert read_voc(voc.parent, "train").name == "VOC2012"
    shutil.rmtree(voc)
    for path in (voc.parent, voc.parent.parent):
        assert read_voc(path, "train").name == "VOC2007"


@pytest.mark.parametrize("part", ["..", ".", "JPEGImages", "Annotations"])
def test_folders_may_be_links(voc, tmp_path, part):
    expected = read_voc(voc, "train")
    folder = (voc / part).resolve()
    elsewhere = tmp_path / "disk" / "of another name"
    elsewhere.parent.mkdir()
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    for path in (voc, voc.parent, voc.parent.parent):
        examples = read_voc(path, "train")
        assert (examples.name, examples.keys) == ("VOC2012", expected.keys)
        np.testing.assert_array_equal(examples.labels, expected.labels)
        assert os.path.isfile(examples.images[0])


@pytest.mark.parametrize("name", ["JPEGImages/2008_000001.jpg", "Annotations/2008_000001.xml"])
def test_links_out_of_the_folder_are_refused(voc, tmp_path, name):
    file = voc / name
    file.rename(file.with_name("other"))
    file.symlink_to("other")
    assert len(read_voc(voc, "train")) == 6
    file.unlink()
    file.with_name("other").rename(tmp_path / "secret")
    file.symlink_to(tmp_path / "secret")
    message = message_of(voc)
    assert f"{file}: a link that leads out of {file.parent}: put the file itself" in message


@pytest.mark.parametrize(("difficult", "label"), [("negative", 0), ("ignore", -1), ("positive", 1)])
@pytest.mark.parametrize("where", ["XML and class files", "XML", "class files"])
def test_difficult_only_classes(voc, difficult, label, where):
    annotation = voc / "Annotations" / "2008_000000.xml"
    if where == "XML":
        for file in (voc / "ImageSets" / "Main").glob("*_train.txt"):
            file.unlink()
    if where == "class files":
        begin = annotation.read_text().index("<object><name>chair")
        annotation.write_text(annotation.read_text()[:begin] + "</annotation>")
    labels = read_voc(voc, "train", difficult).labels
    chairs = labels[:, column("chair")]
    # The other picture with a difficult chair keeps its XML.
    np.testing.assert_array_equal(chairs, [label, 0, 0, label, 0, 0])
    assert labels[0, column("cat")] == 1


def test_a_difficult_object_beside_a_plain_one_changes_nothing(voc):
    edit(voc / "Annotations" / "2008_000000.xml", "<name>chair</name>", "<name>cat</name>")
    for name in VOC_LABELS:
        (voc / "ImageSets" / "Main" / f"{name}_train.txt").unlink(missing_ok=True)
    assert read_voc(voc, "train", "ignore").labels[0].tolist() == [
        float(name == "cat") for name in VOC_LABELS
    ]


def test_classes_without_a_picture_and_pictures_without_a_label(voc):
    edit(voc / "Annotations" / "2008_000002.xml", "<difficult>0", "<difficult>1")
    examples = read_voc(voc, "train")
    assert examples.labels[:, column("bus")].sum() == 0
    assert examples.labels[2].sum() == 0 and len(examples) == 6
    kept = drop_unlabelled(examples)
    assert kept.keys == examples.keys[:2] + examples.keys[3:]
    np.testing.assert_array_equal(kept.labels, np.delete(examples.labels, 2, axis=0))
    assert kept.images == [examples.images[row] for row in (0, 1, 3, 4, 5)]
    np.testing.assert_array_equal(kept.boxes[2], examples.boxes[3])


def test_a_split_without_any_label_cannot_be_trained_on(voc):
    for file in (voc / "Annotations").glob("*.xml"):
        file.write_text(file.read_text().replace("<difficult>0", "<difficult>1"))
    with pytest.raises(InputError, match="VOC2012 train: no image has a positive label"):
        drop_unlabelled(read_voc(voc, "train"))


def test_an_annotation_without_objects_has_no_boxes(voc):
    size = "<size><width>64</width><height>48</height></size>"
    (voc / "Annotations" / "2008_000001.xml").write_text(f"<annotation>{size}</annotation>")
    examples = read_voc(voc, "train")
    assert examples.boxes[1].shape == (0, 4) and examples.box_labels[1].shape == (0,)
    # Without <filename> the image is the id with .jpg.
    assert examples.keys[1] == "2008_000001.jpg"


def message_of(path, split="train", **options):
    with pytest.raises(InputError) as error:
        read_voc(path, split, **options)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_missing_and_empty_folders(tmp_path):
    message = message_of(tmp_path / "nowhere")
    assert "nowhere: no such folder (looked for" in message and "VOC2012 folder inside" in message
    (tmp_path / "empty").mkdir()
    assert "empty: not a VOC folder (looked for" in message_of(tmp_path / "empty")


def test_a_folder_without_its_parts(voc):
    shutil.rmtree(voc / "JPEGImages")
    assert "JPEGImages: no such folder" in message_of(voc)


def test_a_missing_split_lists_those_that_are_there(voc):
    assert message_of(voc, "test").endswith("splits that are there: train, trainval, val")
    assert "no list person_train.txt" in message_of(voc, "person_train")
    assert "no list ../Main/train.txt" in message_of(voc, "../Main/train")


@pytest.mark.parametrize("image_id", ["../../secret", "/etc/passwd", "..", "a\\b"])
def test_ids_do_not_leave_the_folder(voc, image_id):
    (voc / "ImageSets" / "Main" / "train.txt").write_text(f"2008_000000\n{image_id}\n")
    assert "is not an image id" in message_of(voc)


def test_an_empty_list_and_one_with_an_image_twice(voc):
    file = voc / "ImageSets" / "Main" / "train.txt"
    file.write_text("2008_000000\n2008_000001\n2008_000000\n")
    assert "have the file 2008_000000.jpg" in message_of(voc)
    file.write_text("\n")
    assert "train.txt: the list is empty" in message_of(voc)


def test_a_class_file_that_cannot_be_read(voc):
    (voc / "ImageSets" / "Main" / "cat_train.txt").write_text("2008_000000 1\n2008_000001 yes\n")
    assert "cat_train.txt: cannot read the line '2008_000001 yes'" in message_of(voc)


def test_missing_annotation_and_missing_image(voc):
    (voc / "JPEGImages" / "2008_000003.jpg").unlink()
    message = message_of(voc)
    assert "2008_000003.xml: its image" in message and "is not there" in message
    (voc / "Annotations" / "2008_000003.xml").unlink()
    assert "2008_000003.xml: no such annotation" in message_of(voc)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("<name>cat", "<name>unicorn", "unknown class name 'unicorn'"),
        ("<name>cat</name>", "", "unknown class name ''"),
        ("</annotation>", "", "not a whole XML file"),
        ("<width>64</width>", "", "<size/width> is missing"),
        ("<width>64", "<width>wide", "<size/width> is 'wide', not a number"),
        ("<width>64", "<width>0", "<size> is 0 x 48"),
        ("<xmin>3", "<xmin>nan", "<bndbox/xmin> is 'nan', not a number"),
        ("<xmin>3", "<xmin>x", "<bndbox/xmin> is 'x', not a number"),
        ("<ymin>4</ymin>", "", "<bndbox/ymin> is missing"),
        ("<xmin>3", "<xmin>60", "a box of cat ends before it begins"),
        ("2008_000000.jpg", "../2008_000000.jpg", "is not a file name"),
        ("2008_000000.jpg", "2008_9.jpg", "2008_9.jpg is not there"),
        ("2008_000000.jpg", "a\nb.jpg", "is not a file name"),
        ("<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', "DOCTYPE"),
        ("<annotation>", "<annotation>\0", "not a whole XML file"),
        ("<annotation>", "hello<annotation>", "not a whole XML file"),
    ],
)
def test_annotations_at_fault(voc, old, new, expected):
    edit(voc / "Annotations" / "2008_000000.xml", old, new)
    message = message_of(voc)
    assert "2008_000000.xml: " in message and expected in message


@pytest.mark.parametrize("length", [0, 1, 30, 120])
def test_an_annotation_cut_off_anywhere(voc, length):
    file = voc / "Annotations" / "2008_000000.xml"
    file.write_bytes(file.read_bytes()[:length])
    assert "2008_000000.xml: not a whole XML file" in message_of(voc)


def test_an_annotation_of_binary_rubbish(voc):
    (voc / "Annotations" / "2008_000000.xml").write_bytes(bytes(range(256)))
    assert "2008_000000.xml: cannot be read as text" in message_of(voc)


def test_an_unknown_way_with_difficult_objects(voc):
    assert "difficult='maybe'" in message_of(voc, difficult="maybe")
