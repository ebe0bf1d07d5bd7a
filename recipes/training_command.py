"""What the training recipes share: options, and what is done with them."""

import argparse
import contextlib
import dataclasses
import math
import pathlib
import shlex
import sys
from collections.abc import Callable

from device_options import add_device_options, hosts_of, shared_model
from shared_options import add_cache_option, picture_cache, positive
from terminal import exit_code, sigterm_stops, write
from training_log import EndedRun, JsonLog, LineLog, QuietLog

from keras_patchpu import data, losses, models, reporting, training
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
    parser.add_argument(
        "--loss-options",
        type=loss_options,
        default={},
        metavar="NAME=NUMBER,...",
        help="in place of the loss's defaults, which are those for VOC where its authors have "
        f"others for other data: {_list_loss_options()}",
    )
    parser.add_argument("--seed", type=natural, default=0, help="of labels, weights and order")
    parser.add_argument(
        "--out", help="the run's directory; default: runs/<data>[-<model>]-<loss>-<seed>"
    )
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    parser.add_argument(
        "--deterministic",
        action="store_true",
        help="the same weights, to the last bit, each time on this machine, on a GPU too; slower",
    )
    parser.add_argument("--saved-models", default="saved_models", help="default: saved_models")
    add_cache_option(parser)
    printed = parser.add_mutually_exclusive_group()
    printed.add_argument(
        "--quiet",
        dest="log",
        action="store_const",
        const=QuietLog,
        default=LineLog,
        help="print nothing but the table and the paths at the end, and errors: no plan, no bar, "
        "no line an epoch",
    )
    printed.add_argument(
        "--log-json",
        dest="log",
        action="store_const",
        const=JsonLog,
        help="print a JSON object a line and nothing else: an event start, an epoch after each "
        "epoch, with what history.csv has of it, and an end, with the metrics and paths",
    )
    add_device_options(parser)
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
        "--rematerialise",
        action=argparse.BooleanOptionalAction,
        help="train the patch model in a third of the memory, somewhat slower; default: where a "
        "batch takes more than 5 GB and there is no GPU",
    )
    instead.add_argument(
        "--expected-positives",
        type=expected,
        metavar="K",
        help="how many labels an image has, which epr, role, en, ep, en+cl and en+scl are told; "
        "default: the mean of the training images' truth",
    )


def _list_loss_options():
    """`wn: theta=0, ...; an_ls: ...`."""
    lists = {
        loss: ", ".join(f"{name}={value:g}" for name, value in training.options_of(loss).items())
        for loss in losses.LOSSES
    }
    return "; ".join(f"{loss}: {options}" for loss, options in lists.items() if options)


def augmentations(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in data.AUGMENTATIONS:
            raise argparse.ArgumentTypeError(
                f"{text}: no augmentation {name!r}: choose of {', '.join(data.AUGMENTATIONS)}"
            )
    return names


def loss_options(text: str) -> dict[str, float]:
    values = {}
    for item in text.split(","):
        name, equals, number = item.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if not (name and equals and math.isfinite(value)) or name in values:
            raise argparse.ArgumentTypeError(f"{text}: {item!r} is not NAME=NUMBER, each name once")
        values[name] = int(value) if value.is_integer() else value
    return values


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
    hosts = None

    def work():
        nonlocal hosts
        hosts = hosts_of(options)
        if hosts is not None:
            silent.enter_context(training.libraries_silent_for_good())
        log = options.log()
        with sigterm_stops(), contextlib.redirect_stdout(log.other_output):
            try:
                run, ended = train(name, plan, options, data_arguments, log, hosts)
            except training.HostLost as lost:
                write(f"{name}: {lost}", sys.stderr)
                return 1
            if ended is None:
                return 0
            report = None
            try:
                report = write_report(run, ended.out, picture_cache(options))
            finally:
                log.end(ended, report)

    with contextlib.ExitStack() as silent:
        code = exit_code(name, work)
        if hosts is not None:
            hosts.leave(code)
    return code


def train(
    name: str,
    plan: Callable[[argparse.Namespace], tuple[training.Run, str]],
    options: argparse.Namespace,
    data_arguments: list[str],
    log: LineLog | JsonLog,
    hosts: training.Hosts | None = None,
) -> tuple[training.Run, EndedRun | None]:
    """All but the report; arguments as of `execute`. None on other hosts than host 0."""
    try:
        if options.deterministic:
            training.enable_determinism()
        strategy = training.mirrored_strategy() if options.strategy else None
        training.check_loss_options(options.loss, options.loss_options)
        run, out = plan(options)
        run = dataclasses.replace(run, loss_options=options.loss_options)
        with shared_model(name, run, hosts, strategy) as model:
            if hosts is None or hosts.leads:
                log.start(run, out, model)
            measured = training.train(
                run,
                out,
                options.resume,
                options.saved_models,
                picture_cache(options),
                model=model,
                report=log.epoch,
                progress=log.progress,
                hosts=hosts,
                strategy=strategy,
            )
    except KeyboardInterrupt as stop:
        raise type(stop)("stopped; --resume goes on from there") from None
    if measured is None:
        return run, None
    evaluation, saved_model = measured
    again = shlex.join(["python", "recipes/evaluate.py", out, *data_arguments])
    ended = EndedRun(out, evaluation, saved_model, again)
    log.result(ended)
    return run, ended


def write_report(run: training.Run, out: str, cache: data.PictureCache | None) -> pathlib.Path:
    """Writes the report of a run, which has ended well whatever becomes of it."""
    learnt_from = reporting.TrainingLabels(run.train, run.observed)
    try:
        return reporting.write_run_report(training.RunDirectory(out), run.test, learnt_from, cache)
    except (InputError, OSError) as error:
        raise InputError(f"the run has ended, but without its report: {error}") from error
    except KeyboardInterrupt as stop:
        raise type(stop)("stopped; the run has ended, --resume writes its report") from None
