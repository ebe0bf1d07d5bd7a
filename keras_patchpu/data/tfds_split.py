"""One split of a data set of TensorFlow Datasets, which downloads it."""

from collections.abc import Iterable

from keras_patchpu.errors import InputError

_TFDS_SPLITS = {"train": "train", "val": "validation"}


def read_tfds_split(
    dataset: str, split: str, data_dir: str | None, advice: str
) -> tuple[Iterable[dict], tuple[str, ...]]:
    """The rows of a split, in TFDS's order, and the names of the labels of its objects.

    Args:
        dataset: TFDS's name of it, such as `"voc/2012"`.
        split: `"train"` or `"val"` (TFDS's test splits have no annotations).
        data_dir: where TFDS keeps its data; by default its own default.
        advice: what to do where the download fails; `{manual_dir}` in it becomes the folder in
            which TFDS looks for archives put there by hand.

    Returns:
        The rows as TFDS describes them, but with the pictures still encoded (`bytes`), and the
        names.

    Raises:
        InputError: unknown split, no `tensorflow_datasets`, or the download failed.
    """
    if split not in _TFDS_SPLITS:
        raise InputError(
            f"tfds {dataset} has no split {split!r} with annotations: choose one of "
            f"{', '.join(_TFDS_SPLITS)}"
        )
    try:
        import tensorflow_datasets as tfds

        builder = tfds.builder(dataset, data_dir=data_dir)
        _prepare(builder, dataset, advice)
    except ImportError as error:
        raise InputError(
            f"reading {dataset.split('/')[0].upper()} through TFDS needs more packages ({error}): "
            "pip install 'keras_patchpu[data]'"
        ) from error
    encoded = {"image": tfds.decode.SkipDecoding()}
    rows = tfds.as_numpy(builder.as_dataset(split=_TFDS_SPLITS[split], decoders=encoded))
    return rows, tuple(builder.info.features["objects"]["label"].names)


def _prepare(builder, dataset, advice):
    try:
        builder.download_and_prepare()
    except ImportError:
        raise
    except Exception as error:  # TFDS raises its own, requests' and the file system's errors here.
        reason = str(error).strip().split("\n")[0]
        manual_dir = builder.data_path.parents[2] / "downloads" / "manual"
        raise InputError(
            f"tfds could not download {dataset} ({type(error).__name__}: {reason}); "
            f"{advice.format(manual_dir=manual_dir)}"
        ) from error
