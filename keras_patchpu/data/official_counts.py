"""How many images the official splits have."""

# COCO: images with at least one object; ReaL: images with at least one label.
_COUNTS = {
    ("VOC2007", "train"): 2_501,
    ("VOC2007", "val"): 2_510,
    ("VOC2007", "trainval"): 5_011,
    ("VOC2007", "test"): 4_952,
    ("VOC2012", "train"): 5_717,
    ("VOC2012", "val"): 5_823,
    ("VOC2012", "trainval"): 11_540,
    ("COCO2014", "train"): 82_081,
    ("COCO2014", "val"): 40_137,
    ("COCO2017", "train"): 117_266,
    ("COCO2017", "val"): 4_952,
    ("NUS-WIDE", "train"): 161_789,
    ("NUS-WIDE", "test"): 107_859,
    ("CUB-200-2011", "train"): 5_994,
    ("CUB-200-2011", "test"): 5_794,
    ("ImageNet-ReaL", "val"): 46_837,
}


def official_count(name: str, split: str) -> int | None:
    """The number of images that a whole copy of a split gives, or None where there is none such.

    Readers accept any number, for parts of a data set are used too: print this one beside
    `len(examples)`.

    Args:
        name: `Examples.name`, such as `"COCO2014"`.
        split: `Examples.split`, such as `"train"`.
    """
    return _COUNTS.get((name, split))
