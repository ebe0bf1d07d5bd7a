"""What each part of the paper's method is worth: train it without, or with another in its place.

    python benchmarks/ablations.py --data digits --runs runs/ablations-digits \\
        --out benchmarks/results/ablations_digits.json --seeds 0 1
    python benchmarks/ablations.py --data /path/to/VOCdevkit --runs runs/ablations-voc \\
        --out benchmarks/results/ablations_voc.json --only theta gradient --epochs 10

Seven studies, see ablation_studies.py. Each has the paper's model with `wn`, the base, and some
variants of it; all are trained by the same recipe on the same images, and of one seed with the same
observed labels. The base is in every study and is run once a seed. For the digits a seed is 16
runs, most of 7 to 12 minutes on a core. For VOC it is 18, and an epoch takes 3,500 images of
`small` about 2 minutes.

One run after the other, seed by seed, each in RUNS/VARIANT-SEED with a log.txt. Stop it when you
like, by Ctrl-C or harder: the same command goes on with the last whole epoch and leaves out what is
done. After each run a line is printed and OUT written anew, with all that is done of these seeds,
also of studies that --only leaves out. `ablation_figures.py OUT` draws it.

Exit code 0: all runs are done; 1: a run failed; 2: they cannot be run; 130: stopped.
"""

import argparse
import dataclasses
import json
import pathlib
import shlex
import statistics
import sys
import warnings

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
import ablation_run
import tqdm
from ablation_studies import BASE, PATCHES, Study, make_studies

from keras_patchpu import data, training
from keras_patchpu.comparison.results import mean_and_deviation
from keras_patchpu.errors import InputError
from keras_patchpu.whole_file import replaced_whole

# Of each run; the results have their mean and deviation over the seeds.
FIGURES = (
    "test_map",
    "weak_negative_of_absent",
    "weak_negative_of_hidden_positives",
    "mean_absolute_cosine",
    "images_per_second",
)


def whole_number(least: int):
    def read(text: str) -> int:
        number = int(text)
        if not least <= number < 2**32:
            raise argparse.ArgumentTypeError(f"{text} is not within {least} and 2^32 - 1")
        return number

    return read


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", required=True, metavar="PATH|tfds|digits", help="as in train_voc.py --help"
    )
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--runs", required=True, type=pathlib.Path, help="directory of the runs")
    parser.add_argument(
        "--seeds", nargs="+", type=whole_number(0), default=[0], metavar="SEED", help="default: 0"
    )
    parser.add_argument("--recipe", choices=PATCHES, help="default: digits for that data, or small")
    parser.add_argument("--epochs", type=whole_number(1), help="default: what the recipe says")
    names = [study.name for study in make_studies("digits")]
    parser.add_argument(
        "--only", nargs="+", choices=names, metavar="STUDY", help=f"of {', '.join(names)}"
    )
    options = parser.parse_args(arguments)
    options.seeds = list(dict.fromkeys(options.seeds))
    options.recipe = options.recipe or ("digits" if options.data == "digits" else "small")
    return options


def plan(options: argparse.Namespace, studies: tuple[Study, ...]) -> list[ablation_run.AblationRun]:
    """All runs of all studies, the base once a seed.

    Raises:
        InputError: the data cannot be read, or a run was begun with other settings.
    """
    recipe = training.RECIPES[options.recipe]
    if options.epochs:
        recipe = dataclasses.replace(recipe, epochs=options.epochs)
    variants = {"base": BASE}
    for study in studies:
        variants |= {label: v for label, v in study.variants.items() if v != BASE}
    runs = []
    for seed in options.seeds:
        train, test = data.read_source(options.data, seed)
        train = data.drop_unlabelled(train)
        base = training.Run(
            train=train,
            test=test,
            observed=data.observe(train, "uniform", seed),
            draw="uniform",
            loss=BASE.loss,
            recipe=recipe,
            seed=seed,
            expected_positives=0.0,  # of no loss here
        )
        runs += [
            ablation_run.AblationRun(label, variant, base, options.runs)
            for label, variant in variants.items()
        ]
    for run in runs:
        run.check()
    return runs


def collect(runs: list[ablation_run.AblationRun], studies: tuple[Study, ...], command: str) -> dict:
    """All results as JSON values: each run's own, and of each variant mean and deviation."""
    results = {run.name: run.read_result() for run in runs if run.is_done}

    def describe(variant):
        all_seeds = [run for run in runs if run.variant == variant]
        names = [run.name for run in all_seeds if run.is_done]
        figures = {}
        for figure in FIGURES if names else ():
            values = [results[name][figure] for name in names if results[name][figure] is not None]
            mean, deviation = mean_and_deviation(values)
            figures[figure] = {"mean": mean, "deviation": deviation}
        cut = ablation_run.objects_cut(all_seeds[0].run)
        return {"is_base": variant == BASE, "runs": names, "objects_cut": cut, **figures}

    run = runs[0].run
    return {
        "command": command,
        "data": run.train.name,
        "num_train": len(run.train),
        "num_test": len(run.test),
        "epochs": run.recipe.epochs,
        "seeds": sorted({run.run.seed for run in runs}),
        "studies": {
            study.name: {
                "question": study.question,
                "variants": {label: describe(v) for label, v in study.variants.items()},
            }
            for study in studies
        },
        "runs": results,
    }


def seconds_left(runs: list[ablation_run.AblationRun], wanted: list) -> float:
    """By the finished runs of the same variant, or else of all."""
    seconds: dict[str, list[float]] = {}
    for run in runs:
        if run.is_done:
            seconds.setdefault(run.label, []).append(run.read_result()["seconds"])
    every = [value for values in seconds.values() for value in values]
    return sum(statistics.fmean(seconds.get(run.label, every)) for run in wanted if not run.is_done)


def run_all(options: argparse.Namespace, command: str) -> int:
    """Runs what is wanted and not done; gives the number of runs that failed."""
    studies = make_studies(options.recipe)
    runs = plan(options, studies)
    chosen = [study for study in studies if study.name in (options.only or study.name)]
    variants = [variant for study in chosen for variant in study.variants.values()]
    wanted = [run for run in runs if run.variant in variants]
    print(f"{len(wanted)} runs, {sum(run.is_done for run in wanted)} of them done", flush=True)
    write_json(options.out, collect(runs, studies, command))
    cache = data.PictureCache()
    num_failed = 0
    for number, run in enumerate(wanted, 1):
        if run.is_done:
            continue
        try:
            result = run.train(cache, command)
        except InputError as error:
            num_failed += 1
            print(f"{number:3d} of {len(wanted)}  {run}: FAILED ({error})", flush=True)
            continue
        write_json(options.out, collect(runs, studies, command))
        left = tqdm.tqdm.format_interval(seconds_left(runs, wanted[number:]))
        print(
            f"{number:3d} of {len(wanted)}  {run}: test mAP {result['test_map']:.1f}, "
            f"{result['seconds'] / 60:.1f} min, {left} left",
            flush=True,
        )
    return num_failed


def write_json(path: pathlib.Path, content: dict) -> None:
    """Writes a JSON file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced_whole(path, "see to the disk, then start again: what is trained stays") as file:
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    options = parse_arguments(arguments)
    command = shlex.join(["python", "benchmarks/ablations.py", *(arguments or sys.argv[1:])])
    try:
        num_failed = run_all(options, command)
    except (InputError, OSError) as error:
        print(f"ablations: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("ablations: stopped; the same command goes on", file=sys.stderr)
        return 130
    print(f"results  {options.out}\nfigures  python benchmarks/ablation_figures.py {options.out}")
    return 1 if num_failed else 0


if __name__ == "__main__":
    # The whole image as one patch: that attention has no choice there is what is asked.
    warnings.filterwarnings("ignore", message="You are using a softmax over axis")
    sys.exit(main())
