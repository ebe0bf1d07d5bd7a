"""Facts made up without a model, and pages looked at by a parser of HTML."""

import dataclasses
import html.parser

import numpy as np
import pytest
from PIL import Image

from keras_patchpu.comparison import Cell, Result
from keras_patchpu.reporting.cases import highest_absent, ranked_cases
from keras_patchpu.reporting.comparison_facts import ComparedRun, ComparisonFacts
from keras_patchpu.reporting.gallery import CasePictures, as_thumbnail, draw_map
from keras_patchpu.reporting.run_facts import Gallery, RunFacts, ScoredSplit
from keras_patchpu.training import RunDirectory

VOID = {"meta", "link", "img", "br", "hr", "input"}


@dataclasses.dataclass
class Page:
    """What a page is made of.

    Attributes:
        elements: each tag with its attributes, in order.
        headings: each level and its text.
        text: all that is read.
        external: whatever the page would have to fetch.
    """

    elements: list[tuple[str, dict]]
    headings: list[tuple[int, str]]
    text: str
    external: list[str]

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


class _Reader(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.headings, self.texts = [], [], [], []

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), (tag, names)
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3", "h4", "h5", "h6"):
            self.headings.append((int(tag[1]), ""))

    def handle_startendtag(self, tag, attributes):
        assert "svg" in self.open or tag in VOID, f"<{tag}/> is not closed in HTML"
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}>"

    def handle_data(self, data):
        if self.open and self.open[-1] in ("style", "script"):
            return
        self.texts.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3", "h4", "h5", "h6"):
            level, text = self.headings[-1]
            self.headings[-1] = level, text + data


@pytest.fixture(scope="session")
def read_page():
    """Parses a page, and checks what every page has to be; gives it as a `Page`."""

    def read(text):
        assert len(text.encode()) < 5_000_000 and text.startswith("<!DOCTYPE html>")
        reader = _Reader()
        reader.feed(text)
        reader.close()
        assert not reader.open, reader.open
        external = [
            value
            for tag, attributes in reader.elements
            for name, value in attributes.items()
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster")
            and not value.startswith(("#", "data:"))
        ]
        page = Page(reader.elements, reader.headings, " ".join(reader.texts), external)
        assert "http:" not in text and "https:" not in text and "@import" not in text
        assert not page.all("script") and not page.all("iframe")
        assert not [a for _, a in page.elements for name in a if name.startswith("on")]
        (root,) = page.all("html")
        assert root["lang"] == "en" and page.all("title")
        viewports = [meta["content"] for meta in page.all("meta") if meta.get("name") == "viewport"]
        assert viewports == ["width=device-width, initial-scale=1"]

        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        inner = [a["href"][1:] for _, a in page.elements if a.get("href", "").startswith("#")]
        assert inner and set(inner) <= set(ids)

        levels = [level for level, _ in page.headings]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
        for image in page.all("img"):
            assert image["alt"].strip() and image["src"].startswith("data:image/jpeg;base64,")
            assert int(image["width"]) > 0 and int(image["height"]) > 0
        for chart in page.all("svg"):
            assert chart["role"] == "img" and len(chart["aria-label"]) > 20
        for box in [a for a in page.all("div") if a.get("class") == "scroll"]:
            assert box["tabindex"] == "0" and box["aria-label"] and box["role"] == "region"
        return page

    return read


@pytest.fixture(scope="session")
def make_split():
    """`make_split(num_images, num_labels, seed)`: labels, and logits that follow them loosely."""

    def make(num_images=60, num_labels=4, seed=0, truth_known=True, observed=False, unknown=0.0):
        rng = np.random.default_rng(seed)
        labels = (rng.random((num_images, num_labels)) < 0.3).astype("float32")
        labels[np.arange(num_images), rng.integers(num_labels, size=num_images)] = 1
        logits = 2 * rng.standard_normal(labels.shape) + 3 * labels - 2
        seen = None
        if observed:
            seen = np.zeros_like(labels)
            seen[np.arange(num_images), (labels * rng.random(labels.shape)).argmax(axis=1)] = 1
        labels[rng.random(labels.shape) < unknown] = -1
        keys = tuple(f"picture {number}.jpg" for number in range(num_images))
        logits = logits.astype("float32")
        return ScoredSplit("test", keys, labels, logits, truth_known, seen)

    return make


@pytest.fixture(scope="session")
def make_facts(make_split):
    """`make_facts(num_labels=4, ...)`: a run of which nothing but the numbers is there."""

    def make(
        num_labels=4,
        names=None,
        num_images=60,
        epochs=3,
        truth_known=True,
        train=True,
        weak_negatives=True,
        unknown=0.0,
        **config,
    ):
        names = names or [f"label {number}" for number in range(num_labels)]
        test = make_split(num_images, len(names), 0, truth_known, unknown=unknown)
        quality = "test_map" if truth_known else "held_out_lrap"
        values = list(range(1, epochs + 1))
        return RunFacts(
            name="photos-wn-0",
            config={
                **{"data": "photos", "num_train": 900, "num_test": num_images, "loss": "wn"},
                **{"model": "patch", "weights": None, "seed": 0, "image_size": 64},
                **{"patch_size": 32, "resize": "stretch", "epochs": epochs, "batch_size": 8},
                **{"optimizer": "adam", "learning_rate": 1e-3, "schedule": "cosine"},
                **{"draw": "uniform", "augment": [], "label_names": names},
                **config,
            },
            metrics={"peak_memory_gb": 1.5, "images_per_second": 20.0},
            history={
                "epoch": values,
                "loss": [3.0 / value for value in values],
                quality: [20.0 + value for value in values],
                "images_per_second": [20.0] * epochs,
                "seconds": [60.0] * epochs,
            },
            weak_negatives=[_weak(epoch, names) for epoch in values] if weak_negatives else [],
            num_parameters=12345,
            grids=[(2, 2), (1, 1)],
            test=test,
            train=make_split(80, len(names), 1, truth_known, observed=True) if train else None,
            gallery=_gallery(test),
        )

    return make


def _weak(epoch, names):
    tenths = [
        {
            "above": place / 10,
            "up_to": (place + 1) / 10,
            "count": 10 * place,
            "absent": 9 * place,
            "precision": 0.9 if place else None,
            "recall_above": 0.5,
        }
        for place in range(10)
    ]
    shares = {"precision": 0.9, "weighted_precision": 0.95, "recall": 0.1 * epoch, "base_rate": 0.8}
    counts = {"unobserved": 1000, "weak_negatives": 450}
    # Of label k, k are hidden, of which one has a weak negative, as have half of the absent.
    labels = {}
    for hidden, name in enumerate(names):
        found = 50 + min(hidden, 1)
        labels[name] = {
            **{"unobserved": 100 + hidden, "absent": 100, "weak_negatives": found, "recall": 0.5},
            **{"precision": 50 / found - 0.01 * (epoch == 1), "base_rate": 100 / (100 + hidden)},
        }
    return {"epoch": epoch, **shares, **counts, "tenths": tenths, "labels": labels}


def _gallery(test):
    absent = test.labels == 0 if test.truth_known else test.labels != 1
    kinds = [*ranked_cases(test.labels == 1, absent, test.logits, 6)]
    kinds.append(highest_absent(absent, test.logits, 12))
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 255, (132, 176, 3), dtype=np.uint8))
    one_map = np.zeros((132, 176))
    one_map[:40, :40] = 0.5

    def draw(case):
        return CasePictures(
            case, as_thumbnail(picture), tuple(draw_map(picture, one_map) for _ in case.columns)
        )

    return Gallery(*(tuple(map(draw, kind)) for kind in kinds))


@pytest.fixture(scope="session")
def make_comparison(tmp_path_factory):
    """`make_comparison({("patch", "wn"): [20.0, 21.0]})`: test mAPs of the runs of each loss.

    A value of None is a run that has not ended.
    """

    def make(maps, num_labels=4, names=None, weak_negatives=True, **config):
        names = names or [f"label {number}" for number in range(num_labels)]
        folder, runs = tmp_path_factory.mktemp("comparison"), []
        for (model, loss), values in maps.items():
            for seed, value in enumerate(values):
                cell = Cell(model, loss, seed)
                directory = RunDirectory(folder / cell.name)
                if value is None:
                    runs.append(ComparedRun(cell, directory))
                    continue
                result = Result(
                    cell=cell,
                    config={
                        **{"data": "photos", "num_train": 90, "num_validation": 10},
                        **{"num_test": 50, "image_size": 64, "batch_size": 8, "weights": None},
                        **{"optimizer": "adam", "learning_rate": 1e-3, "schedule": "cosine"},
                        **{"augment": [], "draw": "uniform", "label_names": names},
                        **config,
                    },
                    last=value,
                    clean=value + 1,
                    observed=value - 1,
                    frequent=value,
                    num_frequent=len(names),
                    frequent_means_at_least=20,
                    epochs=2,
                    seconds=120.0,
                    images_per_second=[10.0, 12.0],
                    peak_memory_gb=1.5,
                )
                history = {"test_map": [value / 2, value]}
                precisions = {name: value + place / 10 for place, name in enumerate(names)}
                positives = dict.fromkeys(names, 7)
                logged = (1, 2) if weak_negatives and loss == "wn" else ()
                weak = [_weak(epoch, names) for epoch in logged]
                runs.append(
                    ComparedRun(cell, directory, result, history, precisions, positives, weak)
                )
        return ComparisonFacts("comparison", "python recipes/compare.py <all>", runs)

    return make
