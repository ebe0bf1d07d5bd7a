"""Draw what ablations.py has measured, a PNG a study, and print a table of each in Markdown.

    python benchmarks/ablation_figures.py benchmarks/results/ablations_digits.json \\
        --out docs/findings

A figure is OUT/STUDY-DATA.png. Variants that have no finished run are left out, and studies in
which there is nothing to compare.
"""

import argparse
import json
import pathlib
import sys

import quiet_start  # noqa: F401  before all that imports TensorFlow

# isort: split
from keras_patchpu.errors import InputError
from keras_patchpu.whole_file import replaced_whole

DPI, WIDTH = 150, 1000
# Okabe and Ito's colours, as in the plot of recipes/compare.py.
BASE_COLOUR, COLOUR, INK = "#E69F00", "#56B4E9", "#333333"

# Title, key, and decimals of the columns that have a mean and a deviation.
COLUMNS = (
    ("test mAP (%)", "test_map", 1),
    ("weak negative of the absent", "weak_negative_of_absent", 2),
    ("of hidden positives", "weak_negative_of_hidden_positives", 2),
    ("mean abs. cosine", "mean_absolute_cosine", 2),
)


def as_text(figure: dict, decimals: int) -> str:
    """Mean and deviation, where there are so many runs."""
    if figure["mean"] is None:
        return "-"
    text = f"{figure['mean']:.{decimals}f}"
    if figure["deviation"] is not None:
        text += f" ± {figure['deviation']:.{decimals}f}"
    return text


def finished(study: dict) -> dict[str, dict]:
    """The variants with a run, by label."""
    return {label: v for label, v in study["variants"].items() if v["runs"]}


def minus_base(variant: dict, study: dict, runs: dict[str, dict]) -> str:
    """Test mAP minus that of the base, of each seed that both have, in the order of the seeds."""
    (base,) = (other for other in study["variants"].values() if other["is_base"])
    of_base = {runs[name]["seed"]: runs[name]["test_map"] for name in base["runs"]}
    own = {runs[name]["seed"]: runs[name]["test_map"] for name in variant["runs"]}
    return ", ".join(
        f"{own[seed] - of_base[seed]:+.1f}" for seed in sorted(own.keys() & of_base.keys())
    )


def as_table(study: dict, runs: dict[str, dict]) -> str:
    """A Markdown table; the base in bold."""
    test_map, *others = (title for title, _, _ in COLUMNS)
    titles = ["variant", test_map, "minus base, by seed", *others]
    titles += ["parameters", "patches", "objects cut"]
    lines = [f"| {' | '.join(titles)} |", f"|---|{'---:|' * (len(titles) - 1)}"]
    for label, variant in finished(study).items():
        run = runs[variant["runs"][0]]
        figures = [as_text(variant[key], decimals) for _, key, decimals in COLUMNS]
        cells = [
            f"**{label}**" if variant["is_base"] else label,
            figures[0],
            "" if variant["is_base"] else minus_base(variant, study, runs),
            *figures[1:],
            f"{run['parameters']:,}",
            str(run["patches"]),
            "-" if variant["objects_cut"] is None else f"{variant['objects_cut']:.0%}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(path: pathlib.Path, study: dict, results: dict) -> None:
    """Writes a PNG of `WIDTH` pixels: a row a variant, with a dot a seed and the mean.

    Raises:
        InputError: matplotlib is not installed, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("figures need matplotlib: pip install matplotlib") from None
    variants = finished(study)
    figure = Figure((WIDTH / DPI, 1.25 + 0.36 * len(variants)), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    marks = {}
    for place, variant in enumerate(variants.values()):
        values = [results["runs"][name]["test_map"] for name in variant["runs"]]
        mean = variant["test_map"]["mean"]
        colour = BASE_COLOUR if variant["is_base"] else COLOUR
        name = "the base" if variant["is_base"] else "changed"
        (marks[name],) = axes.plot(
            mean, place, "D", color=colour, markeredgecolor=INK, markersize=9, zorder=2
        )
        (dots,) = axes.plot(values, [place] * len(values), ".", color=INK, markersize=7, zorder=3)
        if variant["is_base"]:
            axes.axvline(mean, color=BASE_COLOUR, linewidth=1, linestyle="--", zorder=1)
        axes.annotate(
            as_text(variant["test_map"], 1),
            (1.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            annotation_clip=False,
            fontsize=10,
        )
    marks["a seed"] = dots
    axes.set_yticks(range(len(variants)), list(variants), fontsize=10)
    axes.set_ylim(len(variants) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.set_xlabel(
        f"test mAP (%), {results['data']}, after epoch {results['epochs']}", fontsize=10
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.suptitle(study["question"], fontsize=11.5, weight="bold", x=0.01, ha="left")
    figure.legend(
        marks.values(), marks.keys(), loc="outside lower center", ncols=3, fontsize=9, frameon=False
    )
    with replaced_whole(path, "see to the disk, then start again") as unfinished:
        figure.savefig(unfinished, dpi=DPI)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=pathlib.Path, help="what ablations.py has written")
    parser.add_argument(
        "--out", type=pathlib.Path, default="docs/findings", help="default: docs/findings"
    )
    options = parser.parse_args(arguments)
    try:
        results = json.loads(options.results.read_text(encoding="utf-8"))
        options.out.mkdir(parents=True, exist_ok=True)
        for name, study in results["studies"].items():
            if len(finished(study)) < 2:
                continue
            path = options.out / f"{name}-{results['data'].lower()}.png"
            draw(path, study, results)
            print(f"{study['question']} {path}\n\n{as_table(study, results['runs'])}\n")
    except (InputError, OSError) as error:
        print(f"ablation_figures: {error}", file=sys.stderr)
        return 2
    except (ValueError, KeyError, TypeError) as error:
        what = f"{options.results} is not what ablations.py writes ({error}): give its --out"
        print(f"ablation_figures: {what}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
