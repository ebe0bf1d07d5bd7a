import pytest

from keras_patchpu.data import official_count


@pytest.mark.parametrize(
    ("name", "split", "expected"),
    [
        ("VOC2012", "train", 5717),
        ("VOC2012", "val", 5823),
        ("VOC2007", "trainval", 2501 + 2510),
        ("COCO2014", "train", 82_783 - 702),  # pictures of the archive without an object
        ("COCO2014", "val", 40_504 - 367),
        ("COCO2017", "train", 118_287 - 1_021),
        ("COCO2017", "val", 5_000 - 48),
        ("CUB-200-2011", "train", 11_788 - 5_794),
        ("NUS-WIDE", "train", 269_648 - 107_859),
        ("ImageNet-ReaL", "val", 46_837),
        ("COCO2014", "test", None),
        ("digits", "train", None),
    ],
)
def test_counts(name, split, expected):
    assert official_count(name, split) == expected


def test_the_years_of_coco_split_the_same_pictures():
    totals = [official_count(f"COCO{year}", "train") for year in (2014, 2017)]
    totals = [
        t + official_count(f"COCO{y}", "val") for t, y in zip(totals, (2014, 2017), strict=True)
    ]
    assert totals[0] == totals[1]
