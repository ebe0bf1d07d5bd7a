"""Numbers that others published, from scratch or from ImageNet, each with its source.

They were measured on other code, schedules and selection rules, once each as far as is known.
"""

import dataclasses

_DATA = ("VOC2012", "COCO2014")


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A column of a published table.

    Attributes:
        text: who, where, and what was trained.
        model: a key of `MODELS`.
        weights: what the model started from, None for scratch.
        maps: test mAP on VOC 2012 and on COCO 2014, in percent, by the name of the loss.
    """

    text: str
    model: str
    weights: str | None
    maps: dict[str, tuple[float, float]]


_SLIDES = "Verelst et al., WACV 2023, Table 1, by slides of third parties"

SOURCES = (
    Source(
        "Jouanneau et al., VISAPP 2023, Table 1, top: the patch model from scratch, 25 epochs",
        "patch",
        None,
        {
            "bce": (61.6, 65.8),
            "an": (60.0, 62.6),
            "epr": (58.8, 61.4),
            "role": (49.7, 33.3),
            "wn": (60.4, 63.2),
        },
    ),
    Source(
        "Verelst et al. as quoted by Jouanneau et al., Table 1, bottom: ResNet-50 from scratch, "
        "100 epochs",
        "resnet50",
        None,
        {
            "bce": (53.4, 64.8),
            "an": (45.7, 50.2),
            "role": (45.0, 51.9),
            "en+cl": (47.0, 54.3),
            "en+scl": (50.4, 54.0),
        },
    ),
    Source(
        f"{_SLIDES}: ResNet-50 from scratch",
        "resnet50",
        None,
        {
            "bce": (53.1, 66.1),
            "an": (46.5, 49.1),
            "an_ls": (46.0, 46.1),
            "wan": (44.4, 45.1),
            "role": (45.0, 51.9),
            "en": (47.5, 53.4),
            "en+cl": (49.1, 55.0),
            "en+scl": (51.4, 54.0),
        },
    ),
    Source(
        f"{_SLIDES}: ResNet-50 from ImageNet",
        "resnet50",
        "imagenet",
        {
            "bce": (90.0, 79.4),
            "an": (86.0, 69.0),
            "an_ls": (87.6, 70.3),
            "wan": (86.4, 69.3),
            "role": (87.8, 69.9),
            "en": (88.1, 71.8),
            "en+cl": (88.3, 71.9),
            "en+scl": (88.8, 73.2),
        },
    ),
)


def find_published(
    model: str, loss: str, weights: str | None, data: str
) -> list[tuple[float, Source]]:
    """What was published of a loss on a data set, from the same start.

    Args:
        model: a key of `MODELS`. Where nothing was published of it, that of other models is given.
        loss: a key of `LOSSES`.
        weights: what the backbone started from; numbers from scratch are given for None only.
        data: `Examples.name`.

    Returns:
        test mAP in percent, and whose it is.
    """
    if data not in _DATA:
        return []
    found = [
        (source.maps[loss][_DATA.index(data)], source)
        for source in SOURCES
        if loss in source.maps and source.weights == weights
    ]
    return [entry for entry in found if entry[1].model == model] or found
