"""What stands around the table: the data, the rules, the differences, the sources."""

from collections.abc import Sequence

from keras_patchpu.comparison.differences import differences_as_markdown
from keras_patchpu.comparison.figures import Figure
from keras_patchpu.comparison.published import Source
from keras_patchpu.comparison.results import Row
from keras_patchpu.data import official_count

_RULES = """\
Means over the seeds ± their standard deviation (n - 1). A seed decides the observed labels, the
held-out images, the first weights and the order. Which epoch's model is measured on the test
images:

* **last epoch**: no choice at all.
* **best by validation, all labels**: the epoch with the highest mAP on the held-out images by
  their full truth, as most papers of the field choose. Who has one label an image cannot do this.
* **best by validation, observed labels**: by the one observed label of each held-out image, as who
  has no more than that must choose."""

# Every loss applies to every model; where a loss is another one in part, this says so.
_NOTES = {
    ("resnet50", "wn"): "`wn` on `resnet50`: features are not negative and the maps are flat at the"
    " start, so all cosines are near 1 and `wn` begins as `an`; it departs from it as far as labels"
    " look at different places (see `models/resnet.py`)."
}


def notes_as_markdown(
    table: str,
    rows: Sequence[Row],
    num_runs: int,
    command: str,
    sources: Sequence[Source],
    figure: Figure,
) -> str:
    """The whole page.

    Args:
        table: in Markdown.
        rows: of the table.
        num_runs: how many the grid has, finished or not.
        command: that made it.
        sources: of the published numbers, in the order of their marks.
        figure: by which losses are compared.
    """
    results = [result for row in rows for result in row.results]
    name = results[0].config["data"] if results else "no finished run yet"
    parts = [
        f"# Comparison: {name}",
        f"{len(results)} of {num_runs} runs are finished. Made by\n\n    {command}",
    ]
    if results:
        parts.append(_data(results))
    parts += [table, *_warnings(rows), _RULES]
    if sources:
        parts.append(_sources(sources, results[0].config))
    parts += [
        "## Which losses differ",
        f"By the test mAP of the {figure.title}.",
        differences_as_markdown(rows, figure.of),
    ]
    pairs = {(row.model, row.loss) for row in rows}
    parts += [
        "Every loss applies to every model of the table.",
        *(note for pair, note in _NOTES.items() if pair in pairs),
    ]
    return "\n\n".join(parts) + "\n"


def _data(results):
    config = results[0].config
    by_seed = {result.cell.seed: result.config for result in results}
    held_out = "; ".join(
        f"seed {seed}: {c['num_train']:,} and {c['num_validation']:,}"
        for seed, c in sorted(by_seed.items())
    )
    official_train, official_test = _official_counts(config)
    num_train = config["num_train"] + config["num_validation"]
    lines = [
        f"Data: {config['data']}, {_of_official(num_train, official_train)} training images, in "
        f"part held out to validate on ({held_out}), and "
        f"{_of_official(config['num_test'], official_test)} test images, "
        f"{len(config['label_names'])} labels.",
        f"All runs: {config['image_size']} pixels, batches of {config['batch_size']}, "
        f"{config['optimizer']} at {config['learning_rate']:g} ({config['schedule']}), "
        f"observed labels drawn `{config['draw']}`"
        + (f", augmented by {', '.join(config['augment'])}" if config["augment"] else "")
        + (f", backbones from {config['weights']}" if config["weights"] else "")
        + ".",
    ]
    return "\n\n".join(lines)


def _official_counts(config):
    """Of the splits that are trained and tested on, see `data.read_source`."""
    name, tested = config["data"], config["test_split"]
    trained = "trainval" if (name, tested) == ("VOC2007", "test") else "train"
    return official_count(name, trained), official_count(name, tested)


def _of_official(count, official):
    if official in (None, count):
        return f"{count:,}"
    return f"**{count:,} of the official {official:,}**"


def _warnings(rows):
    seen = {}
    for row in rows:
        for result in row.results:
            seen.setdefault(result.cell.seed, set()).add(result.images_seen)
    if any(len(counts) > 1 for counts in seen.values()):
        yield (
            "**Not comparable: runs of the same seed have not seen the same number of images.** "
            "See the column."
        )
    seeds = {
        tuple(sorted(result.cell.seed for result in row.results)) for row in rows if row.results
    }
    if len(seeds) > 1:
        yield "**Unfinished**: rows have different seeds so far, and a seed's data are its own."


def _sources(sources, config):
    text = (
        f"**Published elsewhere**: measured by others with their own code on all images of "
        f"{config['data']}, mostly with other image sizes, epochs and augmentations, in part with "
        "another model, which is named beside the number; one run each as far as is known. They "
        "say what order to expect rather than what figures."
    )
    numbered = "\n".join(f"{n}. {source.text}." for n, source in enumerate(sources, 1))
    return f"{text}\n\n{numbered}"
