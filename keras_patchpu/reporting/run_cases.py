"""The gallery of a run in words."""

import dataclasses

import numpy as np
from scipy.special import expit

from keras_patchpu.reporting.gallery import CasePictures, Thumbnail
from keras_patchpu.reporting.run_facts import RunFacts

# Labels that are absent are named from the highest score on; the others are all named, as far as
# there is room.
_MOST_ABSENT = 3
_MOST_PRESENT = 8


@dataclasses.dataclass(frozen=True)
class ShownMap:
    """A picture with the map of a label.

    Attributes:
        thumbnail: both.
        label: its name.
        kind: `"there"` for a label that is present, or `"wrong"`.
        note: that it is not, for those who do not see colours.
        alt: what there is to see.
    """

    thumbnail: Thumbnail
    label: str
    kind: str
    note: str
    alt: str


@dataclasses.dataclass(frozen=True)
class ShownCase:
    """A case as the page shows it.

    Attributes:
        key: name of the image.
        picture, alt: the picture, and what is in it.
        maps: of some of its labels.
        there, not_there: names and scores of labels that are present, and that are not.
        there_title, not_there_title: what these are.
    """

    key: str
    picture: Thumbnail
    alt: str
    maps: list[ShownMap]
    there: list[tuple[str, float]]
    not_there: list[tuple[str, float]]
    there_title: str
    not_there_title: str


def gallery_cases(facts: RunFacts) -> dict[str, list[ShownCase]]:
    """The cases of each kind: `best`, `worst` and `doubts`."""
    return {
        kind: [_show(facts, pictures) for pictures in getattr(facts.gallery, kind)]
        for kind in ("best", "worst", "doubts")
    }


def _show(facts: RunFacts, pictures: CasePictures) -> ShownCase:
    names, test, case = facts.config["label_names"], facts.test, pictures.case
    key, labels, logits = test.keys[case.row], test.labels[case.row], test.logits[case.row]
    scores = expit(logits.astype("float64"))
    # Not by the scores, of which several may be rounded to 1.
    order = np.argsort(-logits, kind="stable")
    present = [(names[c], float(scores[c])) for c in order if labels[c] == 1]
    absent = labels == 0 if test.truth_known else labels != 1
    others = [(names[c], float(scores[c])) for c in order if absent[c]]
    not_there = "absent" if test.truth_known else "not named"
    shown = ", ".join(name for name, _ in present[:_MOST_PRESENT]) or "no label"
    return ShownCase(
        key=key,
        picture=pictures.picture,
        alt=f"{key}: {shown}",
        maps=[
            ShownMap(
                thumbnail,
                names[column],
                "there" if labels[column] == 1 else "wrong",
                "" if labels[column] == 1 else f" ({not_there})",
                f"{key}: where the model looks for {names[column]}, to which it gives "
                f"{100 * scores[column]:.0f} percent: {thumbnail.place}",
            )
            for column, thumbnail in zip(case.columns, pictures.maps, strict=True)
        ],
        there=present[:_MOST_PRESENT],
        not_there=others[:_MOST_ABSENT],
        there_title="present:" if test.truth_known else "named:",
        not_there_title=f"{not_there}, highest:",
    )
