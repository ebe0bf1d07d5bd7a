"""What the training recipes share: options, what they say before they start, and how they end."""

import argparse
import dataclasses
import os
import shlex
import sys
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from shared_options import add_cache_option, picture_cache, positive

from keras_patchpu import data, losses, models, reporting, serving, training
from keras_patchpu.errors import InputError


def add_training_options(parser: argparse.ArgumentParser, recipe_help: str) -> None:
    """Adds all options but those of the data."""
    parser.add_argument("--recipe", choices=training.RECIPES, help=recipe_help)
    parser.add_argument(
        "--model",
        choices=models.MODELS,
        help="default: patch, the paper's; the others are baselines",
    )
    parser.add_argument(
        "--weights",
        metavar="imagenet|FILE.h5",
        help="what the backbone of a baseline starts from; default: random weights",
    )
    parser.add_argument("--loss", choices=losses.LOSSES, default="wn", help="default: wn")
    parser.add_argument("--seed", type=natural, default=0, help="of labels, weights and order")
    parser.add_argument(
        "--out", help="the run's directory; default: runs/<data>[-<model>]-<loss>-<seed>"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--saved-models", default="saved_models", help="default: saved_models")
    add_cache_option(parser)
    instead = parser.add_argument_group("in place of what the recipe says")
    instead.add_argument("--epochs", type=positive)
    instead.add_argument("--batch-size", type=positive)
    instead.add_argument("--image-size", type=positive, help="pixels")
    instead.add_argument("--patch-size", type=positive, help="pixels")
    instead.add_argument("--levels", type=positive, dest="num_levels", help="resolutions")
    instead.add_argument(
        "--augment",
        type=augmentations,
        metavar="NAME,...",
        help=f"of {', '.join(data.AUGMENTATIONS)}; default: none, as in the paper",
    )
    instead.add_argument(
        "--expected-positives",
        type=expected,
        metavar="K",
        help="how many labels an image has, which epr, role, en, ep, en+cl and en+scl are told; "
        "default: the mean of the training images' truth",
    )


def augmentations(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in data.AUGMENTATIONS:
            raise argparse.ArgumentTypeError(
                f"{text}: no augmentation {name!r}: choose of {', '.join(data.AUGMENTATIONS)}"
            )
    return names


def expected(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def natural(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not within 0 and 2^32 - 1")
    return number


def make_recipe(options: argparse.Namespace, name: str) -> training.Recipe:
    """The recipe of that name with what the options put in its place."""
    changes = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(training.Recipe)
        if getattr(options, field.name, None) is not None
    }
    return dataclasses.replace(training.RECIPES[name], **changes)


def out_directory(options: argparse.Namespace, train: data.Examples) -> str:
    """Where the run goes."""
    name = options.loss if options.model in (None, "patch") else f"{options.model}-{options.loss}"
    return options.out or f"runs/{train.name.lower()}-{name}-{options.seed}"


def describe(run: training.Run, out: str) -> str:
    """What will be done, in a few lines; `out` is where it goes."""
    recipe = run.recipe
    model = training.make_model(run)
    # Without ROLE's estimates, which are trained but no part of the answer.
    estimates = model.loss_state.trainable_variables if model.loss_state is not None else []
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    parameters -= sum(int(np.prod(v.shape)) for v in estimates)
    gpus = tf.config.list_physical_devices("GPU")
    mean = np.mean(np.sum(run.train.labels == 1, axis=1))
    return "\n".join(
        [
            f"data    {run.train.name}: {len(run.train)} training and {len(run.test)} test images, "
            f"{len(run.train.label_names)} labels, {mean:.2f} an image{_counts(run.found)}",
            f"loss    {run.loss}, which sees {_seen(run, model.loss.supervised)}",
            f"model   {_layout(recipe, model.attention_grids)}, "
            f"{parameters:,} trainable parameters",
            f"recipe  {recipe.epochs} epochs of {recipe.optimizer} in batches of "
            f"{recipe.batch_size}, learning rate {recipe.learning_rate:g} ({recipe.schedule}), "
            f"seed {run.seed}" + (f", {'+'.join(recipe.augment)}" if recipe.augment else ""),
            f"device  {gpus[0].name if gpus else f'{os.cpu_count()} CPU cores'}",
            f"out     {out}",
        ]
    )


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


def execute(
    name: str,
    plan: Callable[[argparse.Namespace], tuple[training.Run, str]],
    options: argparse.Namespace,
    data_arguments: list[str],
) -> int:
    """Plans, trains, measures, exports and reports; gives the exit code.

    Args:
        name: of the recipe.
        plan: makes a run and says where it goes.
        options: of the command line.
        data_arguments: what `evaluate.py` is told to find the test data.
    """
    try:
        run, out = plan(options)
        print(describe(run, out), flush=True)
        evaluation, exported = training.train(
            run, out, options.resume, options.saved_models, picture_cache(options)
        )
    except (InputError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: stopped; --resume goes on from the last whole epoch", file=sys.stderr)
        return 130
    print(evaluation.as_table())
    again = shlex.join(["python", "recipes/evaluate.py", out, *data_arguments])
    print(f"run       {out}\nserve     {exported}\nevaluate  {again}")
    print(serving.how_to_serve(exported.parent), flush=True)
    return write_report(name, run, out, picture_cache(options))


def write_report(name: str, run: training.Run, out: str, cache: data.PictureCache | None) -> int:
    """Writes the report of a run, which has ended well whatever becomes of it; the exit code."""
    learnt_from = reporting.TrainingLabels(run.train, run.observed)
    try:
        path = reporting.write_run_report(training.RunDirectory(out), run.test, learnt_from, cache)
    except (InputError, OSError) as error:
        print(f"{name}: the run has ended, but without its report: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: stopped; the run has ended, --resume writes its report", file=sys.stderr)
        return 130
    print(f"report    {path}")
    return 0
