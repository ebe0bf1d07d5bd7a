"""What is in a data set, and what is wrong with it, as JSON values."""

import collections
from collections.abc import Sequence

import numpy as np

from keras_patchpu.data.examples import Examples
from keras_patchpu.data.official_counts import official_count
from keras_patchpu.inspection.picture_facts import PictureFacts, read_facts

NUM_PAIRS = 10


def inspect_splits(
    splits: Sequence[Examples], bad_rows: Sequence[Sequence[str]] = (), progress: bool = True
) -> dict:
    """Looks at the labels and at every picture of a data set.

    Args:
        splits: S splits of one data set, such as train and test, with the same labels.
        bad_rows: S times the lines of text on what was wrong in the file of the labels; by
            default nothing.
        progress: show a progress bar on stderr.

    Returns:
        JSON values: `splits`, a dict a split, see `inspect_labels` and `inspect_pictures`, with
        `name`, `split`, `images`, `official_images` (or null), `truth_known` and `bad_rows`;
        `duplicates`, see `find_duplicates`; `problems`, the numbers of `bad_rows`,
        `broken_pictures` and `leaks`. Duplicates within a split are no problem.
    """
    bad_rows = list(bad_rows) or [()] * len(splits)
    pictures = [read_facts(split, progress) for split in splits]
    duplicates = find_duplicates(splits, pictures)
    parts = [
        {
            "name": split.name,
            "split": split.split,
            "images": len(split),
            "official_images": official_count(split.name, split.split),
            "truth_known": split.truth_known,
            **inspect_labels(split),
            **inspect_pictures(split, facts),
            "bad_rows": list(rows),
        }
        for split, facts, rows in zip(splits, pictures, bad_rows, strict=True)
    ]
    problems = {
        "bad_rows": sum(len(part["bad_rows"]) for part in parts),
        "broken_pictures": sum(len(part["broken_pictures"]) for part in parts),
        "leaks": sum(group["leak"] for group in duplicates),
    }
    return {"splits": parts, "duplicates": duplicates, "problems": problems}


def inspect_labels(examples: Examples) -> dict:
    """Counts the labels of N images; L labels.

    Returns:
        JSON values:

        * `labels`: for each `name`, the images in which it is present (`positives`), known to be
          absent (`negatives`) and `unknown`.
        * `labels_an_image`: the `mean` number of positives and the `histogram`, a list of the
          images with 0, 1, 2, ... positives.
        * `images_without_positive`.
        * `cooccurrence`: `L` lists of `L` numbers of images with both labels; on the diagonal the
          positives.
        * `frequent_pairs`: the labels that are most often together, most often first; `labels`,
          the two names, and `images`.
        * `kept_by_single_positive`: the part of the positives that is left when each image keeps
          one; null where the truth is not known, and where there is no positive.
    """
    present = examples.labels == 1
    per_image = present.sum(axis=1)
    # Floats, for the product of integers is slow; they are exact up to 2**53 images.
    together = (present.T.astype(float) @ present.astype(float)).astype(int)
    num_positives = int(per_image.sum())
    kept = None
    if examples.truth_known and num_positives:
        kept = round(int((per_image > 0).sum()) / num_positives, 4)
    counts = zip(
        examples.label_names,
        present.sum(axis=0).tolist(),
        (examples.labels == 0).sum(axis=0).tolist(),
        (examples.labels == -1).sum(axis=0).tolist(),
        strict=True,
    )
    return {
        "labels": [
            {"name": name, "positives": positives, "negatives": negatives, "unknown": unknown}
            for name, positives, negatives, unknown in counts
        ],
        "labels_an_image": {
            "mean": round(num_positives / len(examples), 4) if len(examples) else None,
            "histogram": np.bincount(per_image).tolist(),
        },
        "images_without_positive": int((per_image == 0).sum()),
        "cooccurrence": together.tolist(),
        "frequent_pairs": _frequent_pairs(together, examples.label_names),
        "kept_by_single_positive": kept,
    }


def _frequent_pairs(together, label_names):
    first, second = np.triu_indices(len(label_names), k=1)
    counts = together[first, second]
    order = np.argsort(-counts, kind="stable")[:NUM_PAIRS]
    return [
        {"labels": [label_names[first[i]], label_names[second[i]]], "images": int(counts[i])}
        for i in order
        if counts[i]
    ]


def inspect_pictures(examples: Examples, pictures: Sequence[PictureFacts]) -> dict:
    """Sums up N pictures.

    Returns:
        JSON values: `widths` and `heights` in pixels and `file_bytes`, each `min`, `median` and
        `max`, or null without a picture that can be read; `total_bytes`; `kinds`, the number of
        pictures of each format and mode, most frequent first; `broken_pictures`, each with `file`,
        the path or key, and `reason`. Broken ones count in nothing else.
    """
    whole = [facts for facts in pictures if not facts.broken]
    kinds = collections.Counter(facts.kind for facts in whole)
    return {
        "widths": _range([facts.width for facts in whole]),
        "heights": _range([facts.height for facts in whole]),
        "file_bytes": _range([facts.num_bytes for facts in whole]),
        "total_bytes": sum(facts.num_bytes for facts in whole),
        "kinds": dict(kinds.most_common()),
        "broken_pictures": [
            {"file": image if isinstance(image, str) else key, "reason": facts.broken}
            for image, key, facts in zip(examples.images, examples.keys, pictures, strict=True)
            if facts.broken
        ],
    }


def _range(numbers):
    if not numbers:
        return None
    return {"min": min(numbers), "median": float(np.median(numbers)), "max": max(numbers)}


def find_duplicates(
    splits: Sequence[Examples], pictures: Sequence[Sequence[PictureFacts]]
) -> list[dict]:
    """Finds the pictures that are there more than once, whatever their files are like.

    Returns:
        A dict for each such picture: `same`, `"bytes"` if its files are identical, `"pixels"` if
        they differ but show the same RGB pixels; `leak`, whether it is in more than one split;
        `images`, where it is: each the `split` and the `key`. Broken pictures are left out.
    """
    groups = collections.defaultdict(list)
    for split, facts_of_split in zip(splits, pictures, strict=True):
        for key, facts in zip(split.keys, facts_of_split, strict=True):
            if not facts.broken:
                groups[facts.pixels_digest].append((split.split, key, facts.bytes_digest))
    return [
        {
            "same": "bytes" if len({digest for *_, digest in group}) == 1 else "pixels",
            "leak": len({split for split, *_ in group}) > 1,
            "images": [{"split": split, "key": key} for split, key, _ in group],
        }
        for group in groups.values()
        if len(group) > 1
    ]
