"""Compare losses and models: a grid of runs on the same data, then a table and a plot of them.

    python recipes/compare.py --data /path/to/VOCdevkit --out comparisons/voc --recipe small \\
        --seeds 0 1  patch:bce,wn,an,epr,role  resnet50:bce,an
    python recipes/compare.py --data digits --out comparisons/digits --epochs 2 patch:wn,an

Each MODEL:LOSS,LOSS and each seed is one run of train_voc.py, all with the same other options, in
OUT/MODEL-LOSS-SEED; what it prints goes to a .log beside it. A fifth of the training images is held
out of training, to choose the best epoch by: by their full truth, and by their observed labels
alone. The seed draws the observed labels and the held-out images, so losses are compared on the
same ones.

One run after the other, or one on each GPU. Stop it when you like, by Ctrl-C or harder: the same
command goes on with what was cut off and leaves out what is done. A run that fails is reported, and
the others go on. After each run OUT/table.md, table.csv and plot.png are written anew; on a
finished grid that is all it does. The table has mean and deviation over the seeds, what was
published of the same loss on the same data set, and which losses can be told apart. At the end
OUT/report.html shows all that in one page, with curves and labels, and leads to that of each run.

A grid costs its runs: seconds an epoch are in each history.csv, and the time left is printed.

Exit code 0: all runs are done; 1: a run failed; 2: the grid cannot be run; 130: stopped.
"""

import argparse
import contextlib
import dataclasses
import pathlib
import shlex
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import data_set_training
import keras
import tensorflow as tf
import tqdm
import train_voc
import training_command

from keras_patchpu import comparison, reporting
from keras_patchpu.errors import InputError
from keras_patchpu.training import RunDirectory, check_loss_options, sole_use

TRAIN_SCRIPT = pathlib.Path(__file__).with_name("train_voc.py")
HOLD_OUT = "0.2"
# Of the directory, who may be in the way.
USERS = "another comparison, or by a run that a killed one left"
# Options of train_voc.py that are the same in all runs.
PASSED_ON = (
    "data",
    "draw",
    "recipe",
    "weights",
    "cache",
    "epochs",
    "batch-size",
    "image-size",
    "patch-size",
    "levels",
    "augment",
    "expected-positives",
)
# Those that are given alone.
SWITCHES = ("deterministic", "rematerialise")


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("grid", nargs="*", metavar="MODEL:LOSS,LOSS", help="what to compare")
    parser.add_argument("--out", required=True, help="the directory of the comparison")
    parser.add_argument("--seeds", nargs="+", default=["0"], metavar="SEED", help="default: 0")
    parser.add_argument(
        "--loss-options",
        action="append",
        type=options_of_a_loss,
        default=[],
        metavar="LOSS:NAME=NUMBER,...",
        help="of all runs of a loss, such as em+apl:alpha=0.1,beta=0.9 on COCO; as in train_voc.py "
        "--help; may be given once for each loss",
    )
    passed_on = parser.add_argument_group("as in train_voc.py --help")
    for name in PASSED_ON:
        passed_on.add_argument(f"--{name}", metavar="...")
    for name in SWITCHES:
        passed_on.add_argument(f"--{name}", action="store_true")
    options = parser.parse_intermixed_args(arguments)
    # argparse takes a grid that follows the seeds for seeds.
    options.grid += [text for text in options.seeds if ":" in text]
    try:
        seeds = [text for text in options.seeds if ":" not in text]
        options.seeds = [training_command.natural(seed) for seed in seeds]
    except (ValueError, argparse.ArgumentTypeError):
        parser.error(f"--seeds {' '.join(seeds)}: give whole numbers from 0 on")
    losses = [loss for loss, _ in options.loss_options]
    for loss in losses:
        if losses.count(loss) > 1:
            parser.error(f"--loss-options: {loss} is twice")
    options.loss_options = dict(options.loss_options)
    return options


def options_of_a_loss(text: str) -> tuple[str, dict[str, float]]:
    loss, colon, values = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text} is not LOSS:NAME=NUMBER,...")
    return loss, training_command.loss_options(values)


def train_arguments(options: argparse.Namespace, cell: comparison.Cell) -> list[str]:
    """What train_voc.py is told to make the run of a cell."""
    arguments = ["--model", cell.model, "--loss", cell.loss, "--seed", str(cell.seed), "--resume"]
    arguments += ["--hold-out", HOLD_OUT, "--out", str(pathlib.Path(options.out, cell.name))]
    arguments += ["--saved-models", str(pathlib.Path(options.out, "saved_models"))]
    for name in PASSED_ON:
        value = getattr(options, name.replace("-", "_"))
        if value is not None:
            arguments.append(f"--{name}={value}")
    arguments += [f"--{name}" for name in SWITCHES if getattr(options, name)]
    values = [f"{name}={value}" for name, value in options.loss_options.get(cell.loss, {}).items()]
    if values:
        arguments.append(f"--loss-options={','.join(values)}")
    return arguments


def plan(options: argparse.Namespace) -> list[comparison.Job]:
    """All runs of the grid, checked: what train_voc.py would refuse is refused here.

    Raises:
        InputError: the grid, the data or an option is wrong, or a run was begun with another
            configuration.
    """
    jobs, read = [], None
    cells = comparison.read_grid(options.grid, options.seeds)
    for loss, values in options.loss_options.items():
        if loss not in {cell.loss for cell in cells}:
            raise InputError(f"--loss-options: the grid has no loss {loss!r}")
        check_loss_options(loss, values)
    for cell in cells:
        arguments = train_arguments(options, cell)
        # The seed decides the draw, and its cells follow each other.
        if read is None or read.seed != cell.seed:
            read, _ = data_set_training.plan(train_voc.parse_arguments(arguments))
        recipe = dataclasses.replace(read.recipe, model=cell.model)
        directory = RunDirectory(pathlib.Path(options.out, cell.name))
        run = dataclasses.replace(
            read,
            loss=cell.loss,
            recipe=recipe,
            loss_options=options.loss_options.get(cell.loss, {}),
        )
        directory.check(run.config(), True)
        command = (sys.executable, str(TRAIN_SCRIPT), *arguments)
        jobs.append(comparison.Job(cell, directory, command, recipe.epochs))
    return jobs


def write_tables(out: pathlib.Path, jobs: list[comparison.Job], command: str) -> None:
    """Writes the tables and the plot of the runs that are done."""
    results = [comparison.read_result(job.cell, job.directory) for job in jobs if job.is_done]
    rows = comparison.group_by_loss([job.cell for job in jobs], results)
    comparison.write_csv(out / "table.csv", rows)
    comparison.write_markdown(out / "table.md", rows, len(jobs), command)
    title = f"{len(results)} of {len(jobs)} runs"
    if results:
        config = results[0].config
        title = (
            f"{config['data']}, {config['num_train']:,} images to train on, "
            f"{config['num_test']:,} to test: {title}"
        )
    comparison.draw_plot(out / "plot.png", rows, title)


def run_all(
    jobs: list[comparison.Job], out: pathlib.Path, lock: int, command: str
) -> tuple[int, bool]:
    """Runs what is not done; prints a line a run. How many failed, and whether it was stopped."""
    unfinished = [job for job in jobs if not job.is_done]
    num_ended = len(jobs) - len(unfinished)
    failed: list[comparison.Job] = []
    devices = comparison.find_devices()
    status = comparison.StatusLine()

    def time_left():
        seconds = comparison.seconds_left([job for job in jobs if job not in failed], len(devices))
        return "" if seconds is None else f", {tqdm.tqdm.format_interval(seconds)} left"

    def show_status(running):
        if status.is_due:
            now = [
                f"{job.cell}: {len(job.directory.read_history())} of {job.epochs} epochs"
                for job in running
            ]
            status.show(f"{num_ended} of {len(jobs)} ended; {', '.join(now)}{time_left()}")

    with comparison.noted_signals() as signals:
        ended = comparison.run_jobs(unfinished, devices, signals, lock, show_status)
        with contextlib.closing(ended):
            for job, failure in ended:
                num_ended += 1
                if failure:
                    failed.append(job)
                    said = f"FAILED, see {job.log} ({failure})"
                else:
                    result = comparison.read_result(job.cell, job.directory)
                    said = f"test mAP {result.last:.1f}, {result.seconds / 60:.1f} min"
                status.clear()
                print(f"{num_ended:3d} of {len(jobs)}  {job.cell}: {said}{time_left()}", flush=True)
                if not failure:
                    write_tables(out, jobs, command)
        status.clear()
        return len(failed), bool(signals)


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    command = shlex.join(["python", "recipes/compare.py", *(arguments or sys.argv[1:])])
    out = pathlib.Path(options.out)
    try:
        jobs = plan(options)
        num_done = sum(job.is_done for job in jobs)
        out.mkdir(parents=True, exist_ok=True)
        with sole_use(out, USERS) as lock:
            print(f"{len(jobs)} runs, {num_done} of them done", flush=True)
            reporting.write_grid(out, [job.cell for job in jobs], command)
            write_tables(out, jobs, command)
            num_failed, stopped = run_all(jobs, out, lock, command)
            if not stopped:
                reporting.write_comparison_report(out)
    except (InputError, OSError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        stopped = True
    if stopped:
        print("compare: stopped; the same command goes on", file=sys.stderr)
        return 130
    print(f"table   {out / 'table.md'}\ndata    {out / 'table.csv'}\nplot    {out / 'plot.png'}")
    print(f"report  {out / reporting.FILE}")
    if num_failed:
        print(f"compare: {num_failed} of {len(jobs)} runs failed", file=sys.stderr)
    return 1 if num_failed else 0


if __name__ == "__main__":
    keras.utils.disable_interactive_logging()
    tf.config.set_visible_devices([], "GPU")  # the memory of the GPUs is for the runs
    sys.exit(main())
