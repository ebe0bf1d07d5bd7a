"""Train, measure and export the patch classifier on Pascal VOC, from one positive label an image.

    python recipes/train_voc.py --data /path/to/VOCdevkit        # VOC 2012, the paper's recipe
    python recipes/train_voc.py --data tfds                      # the same data by TFDS
    python recipes/train_voc.py --data digits                    # embedded data, minutes on a CPU

`--recipe paper` is section 4.1.2 of Jouanneau et al. (VISAPP 2023): 640 pixels, 130 patches, 25
epochs of LAMB. The paper reports a test mAP of 60.4 with `--loss wn`, 60.0 with `an`, 58.8 with
`epr`, 49.7 with `role` and 61.6 with `bce`, which sees all labels. It takes 12 GB of memory and,
on 2 cores, days: there, try `--recipe small`.

The run's directory gets config.json, history.csv, metrics.json, model.keras, a checkpoint and, if
TensorBoard is installed, its logs; saved_models/<name of the run>/1 gets a SavedModel for TF
Serving. Kill it when you like and start it again with `--resume`.
"""

import argparse
import dataclasses
import os
import shlex
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import keras
import numpy as np
import tensorflow as tf

from keras_patchpu import data, losses, serving, training
from keras_patchpu.errors import InputError


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data",
        metavar="PATH|tfds|digits",
        help=f"default: the first of {', '.join(data.LOOKED_FOR)}",
    )
    parser.add_argument(
        "--recipe", choices=training.RECIPES, help="default: digits for that data, else paper"
    )
    parser.add_argument("--loss", choices=losses.LOSSES, default="wn", help="default: wn")
    parser.add_argument("--seed", type=natural, default=0, help="of labels, weights and order")
    parser.add_argument(
        "--draw",
        default="uniform",
        metavar="|".join((*data.DRAWS, "FILE.csv")),
        help="how each image's positive is drawn; or a draw to repeat, such as another run's "
        "observed.csv; default: uniform",
    )
    parser.add_argument("--out", help="the run's directory; default: runs/<data>-<loss>-<seed>")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument("--saved-models", default="saved_models", help="default: saved_models")
    instead = parser.add_argument_group("in place of what the recipe says")
    instead.add_argument("--epochs", type=positive)
    instead.add_argument("--batch-size", type=positive)
    instead.add_argument("--image-size", type=positive, help="pixels")
    instead.add_argument("--patch-size", type=positive, help="pixels")
    instead.add_argument("--levels", type=positive, dest="num_levels", help="resolutions")
    instead.add_argument(
        "--expected-positives",
        type=float,
        help="k of epr and role; default: the mean number of labels of the training images",
    )
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def natural(text: str) -> int:
    number = int(text)
    if not 0 <= number < 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not within 0 and 2^32 - 1")
    return number


def plan(options: argparse.Namespace) -> tuple[training.Run, str]:
    """Everything that the run needs, and where it goes."""
    train, test = data.read_source(options.data, options.seed)
    train = data.drop_unlabelled(train)
    name = options.recipe or ("digits" if options.data == "digits" else "paper")
    changes = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(training.Recipe)
        if getattr(options, field.name, None) is not None
    }
    recipe = dataclasses.replace(training.RECIPES[name], **changes)
    observed = data.observe(train, options.draw, options.seed)
    expected = options.expected_positives
    if expected is None:
        expected = round(float(np.mean(np.sum(train.labels == 1, axis=1))), 2)
    run = training.Run(
        train, test, observed, options.draw, options.loss, recipe, options.seed, expected
    )
    out = options.out or f"runs/{train.name.lower()}-{options.loss}-{options.seed}"
    return run, out


def describe(run: training.Run, out: str) -> str:
    """What will be done, in a few lines."""
    recipe = run.recipe
    model = training.make_model(run)
    grids = model.patch_pyramid.grids(recipe.image_size, recipe.image_size)
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    if model.loss_state is not None:
        parameters -= model.loss_state.count_params()  # ROLE's estimates, no part of the answer
    gpus = tf.config.list_physical_devices("GPU")
    mean = np.mean(np.sum(run.train.labels == 1, axis=1))
    sees = f"one observed positive an image ({run.draw} draw)"
    if model.loss.supervised:
        sees = "all labels"
    return "\n".join(
        [
            f"data    {run.train.name}: {len(run.train)} training and {len(run.test)} test images, "
            f"{len(run.train.label_names)} labels, {mean:.2f} an image",
            f"loss    {run.loss}, which sees {sees}",
            f"model   {sum(rows * columns for rows, columns in grids)} patches of "
            f"{recipe.patch_size} pixels in {len(grids)} levels of {recipe.image_size} pixels, "
            f"{parameters:,} trainable parameters",
            f"recipe  {recipe.epochs} epochs of {recipe.optimizer} in batches of "
            f"{recipe.batch_size}, learning rate {recipe.learning_rate:g} ({recipe.schedule}), "
            f"seed {run.seed}",
            f"device  {gpus[0].name if gpus else f'{os.cpu_count()} CPU cores'}",
            f"out     {out}",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        run, out = plan(options)
        print(describe(run, out), flush=True)
        evaluation, exported = training.train(run, out, options.resume, options.saved_models)
    except (InputError, OSError) as error:
        print(f"train_voc: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train_voc: stopped; --resume goes on from the last whole epoch", file=sys.stderr)
        return 130
    print(evaluation.as_table())
    again = ["python recipes/evaluate.py", shlex.quote(out)]
    if options.data:
        again += ["--data", shlex.quote(options.data)]
    print(f"run       {out}\nserve     {exported}\nevaluate  {' '.join(again)}")
    print(serving.how_to_serve(exported.parent))
    return 0


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    sys.exit(main())
