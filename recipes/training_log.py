"""What the training recipes print: for people, for nobody in particular, or for programs."""

import dataclasses
import json
import os
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_patchpu import data, models, serving, training


@dataclasses.dataclass(frozen=True)
class EndedRun:
    """What there is after a training.

    Attributes:
        out: the run's directory.
        evaluation: of the trained model.
        saved_model: the path of the SavedModel.
        evaluate: the command that measures it again.
    """

    out: str
    evaluation: training.Evaluation | training.Agreement
    saved_model: pathlib.Path
    evaluate: str


class LineLog:
    """The plan, a line an epoch, the table, and what to do next.

    Attributes:
        progress: whether there are bars on standard error, if that is a terminal.
        other_output: where that goes which is printed to standard output by others.
    """

    progress = True

    def __init__(self):
        self.other_output = sys.stdout

    def start(self, run: training.Run, out: str, model: models.MultiLabelModel) -> None:
        """Before anything is read or written."""
        print(describe(run, out, model), flush=True)

    def epoch(self, epoch: training.FinishedEpoch) -> None:
        """After each epoch."""
        print(epoch.as_line(), flush=True)

    def result(self, ended: EndedRun) -> None:
        """After the training, before the report is made."""
        print(ended.evaluation.as_table())
        print(f"run       {ended.out}\nserve     {ended.saved_model}\nevaluate  {ended.evaluate}")
        print(serving.how_to_serve(ended.saved_model.parent), flush=True)

    def end(self, ended: EndedRun, report: pathlib.Path | None) -> None:
        """At the end; without a report if it could not be written."""
        if report is not None:
            print(f"report    {report}", flush=True)


class QuietLog(LineLog):
    """The table and what to do next."""

    progress = False

    def start(self, run: training.Run, out: str, model: models.MultiLabelModel) -> None:
        pass

    def epoch(self, epoch: training.FinishedEpoch) -> None:
        pass


class JsonLog:
    """A JSON object a line, see `LineLog`. Standard output has nothing else."""

    progress = True

    def __init__(self):
        self.stdout = sys.stdout
        self.other_output = sys.stderr

    def start(self, run: training.Run, out: str, model: models.MultiLabelModel) -> None:
        parameters = {"num_parameters": model.num_parameters, "device": _device()}
        self._print("start", {"out": out, **parameters, "config": run.config()})

    def epoch(self, epoch: training.FinishedEpoch) -> None:
        self._print("epoch", epoch.as_dict())

    def result(self, ended: EndedRun) -> None:
        pass  # it comes with the report

    def end(self, ended: EndedRun, report: pathlib.Path | None) -> None:
        paths = {
            "out": ended.out,
            "saved_model": str(ended.saved_model),
            "report": None if report is None else str(report),
        }
        metrics = training.RunDirectory(ended.out).read_json("metrics.json")
        self._print("end", {**paths, "evaluate": ended.evaluate, "metrics": metrics})

    def _print(self, event, content):
        print(json.dumps({"event": event, **content}), file=self.stdout, flush=True)


def describe(run: training.Run, out: str, model: models.MultiLabelModel) -> str:
    """What will be done, in a few lines; `out` is where it goes."""
    recipe = run.recipe
    mean = np.mean(np.sum(run.train.labels == 1, axis=1))
    return "\n".join(
        [
            f"data    {run.train.name}: {len(run.train)} training and {len(run.test)} test images, "
            f"{len(run.train.label_names)} labels, {mean:.2f} an image{_counts(run.found)}",
            f"loss    {run.loss}{_with(run.loss_options)}, which sees "
            f"{_seen(run, model.loss.supervised)}",
            f"model   {_layout(recipe, model.attention_grids)}, "
            f"{model.num_parameters:,} trainable parameters",
            f"recipe  {recipe.epochs} epochs of {recipe.optimizer} in batches of "
            f"{recipe.batch_size}{_rematerialised(model)}, learning rate "
            f"{recipe.learning_rate:g} ({recipe.schedule}), seed {run.seed}"
            + (f", {'+'.join(recipe.augment)}" if recipe.augment else ""),
            f"device  {_device()}",
            f"out     {out}",
        ]
    )


def _with(loss_options):
    values = ", ".join(f"{name} {value:g}" for name, value in loss_options.items())
    return f" with {values}" if values else ""


def _rematerialised(model):
    return " (rematerialised)" if getattr(model, "rematerialise", False) else ""


def _layout(recipe, grids):
    if recipe.model == "patch":
        return (
            f"{sum(rows * columns for rows, columns in grids)} patches of {recipe.patch_size} "
            f"pixels in {len(grids)} levels of {recipe.image_size} pixels"
        )
    (rows, columns), start = grids[0], recipe.weights or "random weights"
    return f"{recipe.model} from {start}, {recipe.image_size} pixels, {rows} x {columns} places"


def _counts(found):
    """Which splits are not as large as the official ones."""
    counts = [(split, data.official_count(split.name, split.split)) for split in found]
    parts = [
        f"{split.split} has {len(split)} of its {official} images"
        for split, official in counts
        if official not in (None, len(split))
    ]
    return f"; here {' and '.join(parts)}" if parts else ""


def _seen(run, supervised):
    if run.draw == "given":
        positives, negatives = (int((run.observed == value).sum()) for value in (1, -1))
        return f"{positives} given positives and {negatives} known negatives"
    return "all labels" if supervised else f"one observed positive an image ({run.draw} draw)"


def _device():
    """The first accelerator that Keras's backend computes on."""
    accelerator = None
    if keras.config.backend() == "jax":
        import jax

        first = jax.devices()[0]
        accelerator = None if first.platform == "cpu" else first.device_kind
    elif keras.config.backend() == "torch":
        import torch

        if torch.accelerator.is_available():
            accelerator = str(torch.accelerator.current_accelerator())
    else:
        gpus = tf.config.list_physical_devices("GPU")
        accelerator = gpus[0].name if gpus else None
    return accelerator or f"{os.cpu_count()} CPU cores"
