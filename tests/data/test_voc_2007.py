"""VOC 2007, which has a test split, and class files whose names look like those of splits."""

import numpy as np
import pytest

from keras_patchpu.data import VOC_LABELS, read_voc
from keras_patchpu.errors import InputError

# As VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar have it, unpacked into one folder.
XML_2007 = """<annotation>
\t<folder>VOC2007</folder>
\t<filename>{image_id}.jpg</filename>
\t<source>
\t\t<database>The VOC2007 Database</database>
\t\t<annotation>PASCAL VOC2007</annotation>
\t\t<image>flickr</image>
\t\t<flickrid>341012865</flickrid>
\t</source>
\t<owner>
\t\t<flickrid>Fried Camels</flickrid>
\t\t<name>Jinky the Fruit Bat</name>
\t</owner>
\t<size>
\t\t<width>500</width>
\t\t<height>250</height>
\t\t<depth>3</depth>
\t</size>
\t<segmented>0</segmented>
\t<object>
\t\t<name>{name}</name>
\t\t<pose>Left</pose>
\t\t<truncated>1</truncated>
\t\t<difficult>{difficult}</difficult>
\t\t<bndbox>
\t\t\t<xmin>51</xmin>
\t\t\t<ymin>26</ymin>
\t\t\t<xmax>100</xmax>
\t\t\t<ymax>250</ymax>
\t\t</bndbox>
\t</object>
</annotation>
"""


def test_voc2007_with_its_test_split(tmp_path):
    voc = tmp_path / "VOCdevkit" / "VOC2007"
    lists = voc / "ImageSets" / "Main"
    for part in (lists, voc / "Annotations", voc / "JPEGImages", voc / "ImageSets" / "Layout"):
        part.mkdir(parents=True)
    objects = {"000001": ("dog", 0), "000002": ("train", 0), "000005": ("chair", 1)}
    objects |= {"000007": ("car", 0)}
    for image_id, (name, difficult) in objects.items():
        xml = XML_2007.format(image_id=image_id, name=name, difficult=difficult)
        (voc / "Annotations" / f"{image_id}.xml").write_text(xml)
        (voc / "JPEGImages" / f"{image_id}.jpg").touch()
    splits = {"test": ["000001", "000002"], "train": ["000005"], "val": ["000007"]}
    splits["trainval"] = splits["train"] + splits["val"]
    for split, ids in splits.items():
        (lists / f"{split}.txt").write_text("".join(f"{image_id}\n" for image_id in ids))
        # train_train.txt is of a class, as is train_test.txt.
        for name in VOC_LABELS:
            flags = {i: 0 if objects[i][1] else 1 for i in ids if objects[i][0] == name}
            lines = [f"{image_id} {flags.get(image_id, -1):2d}\n" for image_id in ids]
            (lists / f"{name}_{split}.txt").write_text("".join(lines))

    for split, expected in {
        "train": [set()],
        "val": [{"car"}],
        "trainval": [set(), {"car"}],
        "test": [{"dog"}, {"train"}],
    }.items():
        examples = read_voc(tmp_path / "VOCdevkit", split)
        assert (examples.name, examples.split) == ("VOC2007", split)
        found = [{VOC_LABELS[i] for i in np.flatnonzero(row == 1)} for row in examples.labels]
        assert found == expected
        assert examples.keys == tuple(f"{image_id}.jpg" for image_id in splits[split])
    assert read_voc(voc, "trainval", "ignore").labels[0, VOC_LABELS.index("chair")] == -1
    np.testing.assert_allclose(examples.boxes[0], [[0.1, 0.1, 1, 0.2]])
    with pytest.raises(InputError, match="there: test, train, trainval, val$"):
        read_voc(voc, "train_train")
