"""Which variants of the paper's model ablations.py trains, and the question that each answers."""

import dataclasses

from keras_patchpu.training import RECIPES


@dataclasses.dataclass(frozen=True)
class Variant:
    """What a run changes of the base: the paper's model and loss, trained by the recipe as it is.

    Attributes:
        loss: key of `losses.LOSSES`.
        loss_options: arguments of the loss.
        recipe: fields of the recipe.
        parts: arguments of `AblatedClassifier`.
    """

    loss: str = "wn"
    loss_options: dict = dataclasses.field(default_factory=dict)
    recipe: dict = dataclasses.field(default_factory=dict)
    parts: dict = dataclasses.field(default_factory=dict)


BASE = Variant()


@dataclasses.dataclass(frozen=True)
class Study:
    """A question, and its variants by what they are called in figures; one of them is `BASE`."""

    name: str
    question: str
    variants: dict[str, Variant]


# The patch sizes of each recipe, and their levels. All cost about the same, for a level has a
# quarter of the pixels of the one before. 16 of 160 pixels is the paper's grid of 130 patches, 64
# of 640; 80 rather than 64, which would leave a rest of the finest level unseen. The largest is
# the whole image as one patch, of which attention has nothing to choose.
PATCHES = {
    "digits": {16: 3, 32: 2, 64: 1},
    "small": {16: 4, 32: 3, 80: 2, 160: 1},
}


def make_studies(recipe_name: str) -> tuple[Study, ...]:
    """The studies around a recipe, one of `PATCHES`."""
    base = RECIPES[recipe_name]
    levels = {
        f"{number} level{'s' * (number > 1)}": Variant(recipe={"num_levels": number})
        for number in range(1, base.num_levels)
    }
    patches = {
        f"{size} pixels, {number} level{'s' * (number > 1)}": BASE
        if size == base.patch_size
        else Variant(recipe={"patch_size": size, "num_levels": number})
        for size, number in PATCHES[recipe_name].items()
    }
    classifiers = {
        f"{loss}, {classifier}": Variant(loss, parts=parts)
        for loss in ("wn", "an", "bce")
        for classifier, parts in {"softmax": {}, "sigmoids": {"classifier": "sigmoids"}}.items()
    }
    return (
        Study(
            "theta",
            "From which similarity on is a label taken for absent?",
            {
                "theta 0": BASE,
                **{
                    f"theta {theta:g}": Variant(loss_options={"theta": theta})
                    for theta in (0.25, 0.5, 0.75)
                },
            },
        ),
        Study(
            "gradient",
            "Does the gradient flow through the weak negatives?",
            {
                "gradient stopped": BASE,
                "gradient flowing": Variant(loss_options={"stop_gradient": False}),
            },
        ),
        Study(
            "levels",
            "Are patches of several resolutions better than of one?",
            {**levels, f"{base.num_levels} levels": BASE},
        ),
        Study("patch", "How large should a patch be?", patches),
        Study(
            "blocks",
            "How much of EfficientNet-B0 does the embedder need?",
            {
                "1 block": Variant(parts={"num_blocks": 1}),
                "3 blocks": Variant(parts={"num_blocks": 3}),
                "5 blocks": BASE,
            },
        ),
        Study(
            "classifier",
            "Softmax over the labels or a sigmoid each, for which loss?",
            classifiers,
        ),
        Study(
            "mlp",
            "What does the MLP after the attention add?",
            {"with MLP": BASE, "without MLP": Variant(parts={"mlp": False})},
        ),
    )
