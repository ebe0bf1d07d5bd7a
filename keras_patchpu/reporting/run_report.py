"""The report of a training run: `report.html`."""

import datetime
import pathlib

import keras_patchpu
from keras_patchpu.data import Examples, PictureCache
from keras_patchpu.reporting import run_charts, run_tables
from keras_patchpu.reporting.calibration import measure_calibration
from keras_patchpu.reporting.charts import draw_reliability
from keras_patchpu.reporting.page import render, write_page
from keras_patchpu.reporting.run_cases import gallery_cases
from keras_patchpu.reporting.run_facts import RunFacts, TrainingLabels, gather_run_facts
from keras_patchpu.reporting.together import as_many_as_there_are, confusion, most_confused
from keras_patchpu.training import RunDirectory
from keras_patchpu.training.evaluation import FEW_POSITIVES, measure_scores

NUM_PAIRS = 12


def write_run_report(
    directory: RunDirectory,
    test: Examples,
    learnt_from: TrainingLabels | None = None,
    cache: PictureCache | None = None,
) -> pathlib.Path:
    """Writes the report of a finished run into its directory; gives its path.

    Arguments and errors as of `gather_run_facts`; `InputError`, too, where it cannot be written.
    """
    facts = gather_run_facts(directory, test, learnt_from, cache)
    finished = (directory.path / "metrics.json").stat().st_mtime
    day = datetime.date.fromtimestamp(finished).strftime("%d %B %Y").lstrip("0")
    return write_page(directory.path, render_run_report(facts, day))


def render_run_report(facts: RunFacts, day: str) -> str:
    """The page: HTML that needs no other file.

    Args:
        facts: of the run.
        day: on which it ended.
    """
    test, names = facts.test, facts.config["label_names"]
    measured = measure_scores(tuple(names), test.labels, test.logits, test.truth_known)
    content = {
        "data": facts.config["data"],
        "version": keras_patchpu.__version__,
        "title": f"{_trained(facts.config)} on {facts.config['data']}",
        "name": facts.name,
        "day": day,
        "truth_known": test.truth_known,
        "measured": measured,
        "few": FEW_POSITIVES,
        "few_images": run_charts.FEW_IMAGES,
        "tiles": run_tables.tiles(facts, measured),
        "data_facts": run_tables.data_facts(facts),
        "model_facts": run_tables.model_facts(facts),
        "curves": run_charts.training_curves(facts.history, run_tables.QUALITIES),
        "best_epoch": run_tables.best_epoch(facts.history),
        "labels": run_tables.label_rows(facts, measured),
        "score_charts": run_charts.score_charts(facts),
        "cost_facts": run_tables.cost_facts(facts),
        "speed_chart": run_charts.speed_chart(facts.history),
        "weak_negatives": facts.weak_negatives[-1] if facts.weak_negatives else None,
        "first_weak_epoch": facts.weak_negatives[0]["epoch"] if facts.weak_negatives else None,
        "weak_negative_rows": run_tables.weak_negative_rows(facts.weak_negatives),
        "weak_negative_charts": run_charts.weak_negative_charts(facts.weak_negatives),
        "gallery": gallery_cases(facts),
        "num_images_shown": sum(len(kind) for kind in vars(facts.gallery).values()),
        "together_chart": run_charts.together_chart(names, test.labels == 1),
        "confusion_chart": None,
    }
    if test.truth_known:
        found = as_many_as_there_are(test.labels, test.logits)
        confused = confusion(test.labels, found)
        calibration = measure_calibration(test.labels, test.logits)
        content |= {
            "decision_facts": run_tables.decision_facts(measured),
            "precision_chart": run_charts.precision_chart(measured),
            "confusion_chart": run_charts.confusion_chart(names, confused),
            "confused_pairs": most_confused(confused, NUM_PAIRS),
            "calibration": calibration,
            "calibration_bins": run_tables.calibration_bins(calibration),
            "reliability_chart": draw_reliability("reliability", calibration),
        }
    content["has_pairs"] = bool(content["together_chart"] or content["confusion_chart"])
    content["label_names"] = names
    content["sections"] = _sections(content)
    return render("run.html.j2", **content)


def _trained(config):
    if config["model"] == "patch":
        return config["loss"]
    return f"{config['model']} with {config['loss']}"


def _sections(content):
    titles = {
        "run": "What was run",
        "curves": "Training",
        "labels": "Label by label",
        "scores": "Scores",
        "weak": "Weak negatives" if content["weak_negatives"] else None,
        "together": "Labels together" if content["has_pairs"] else None,
        "calibration": "Calibration" if content["truth_known"] else None,
        "gallery": "Pictures",
        "doubts": "Is the truth wrong?" if content["truth_known"] else "What nobody has named",
        "cost": "Memory and speed",
    }
    return [(name, title) for name, title in titles.items() if title]
