"""A matrix of shares between labels."""

from collections.abc import Sequence

import numpy as np

from keras_patchpu.reporting.charts.drawing import BLUE, Chart, draw, shown_name

# Names of more cannot be read.
MOST_LABELS = 20


def draw_shares(
    name: str,
    title: str,
    label_names: Sequence[str],
    shares: np.ndarray,
    alt: str,
    colour: str = BLUE,
) -> Chart:
    """A square a pair of labels, the stronger the larger its share, and empty without one.

    Args:
        name: see `draw`.
        title: of the chart.
        label_names: L names, at most `MOST_LABELS`.
        shares: `(L, L)` from 0 to 1 or NaN.
        alt: what the chart shows.
        colour: of the largest share.
    """
    size = len(label_names)
    largest = float(np.nanmax(shares, initial=0.0))

    def paint(figure):
        axes = figure.add_subplot()
        # One colour of more or less opacity, on pages of any colour.
        pixels = np.zeros((size, size, 4))
        pixels[..., :3] = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        pixels[..., 3] = np.nan_to_num(shares) / (largest or 1)
        axes.imshow(pixels, interpolation="none", aspect="equal")
        names = [shown_name(label_name) for label_name in label_names]
        axes.set_xticks(range(size), names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(range(size), names)
        axes.tick_params(length=0, labelsize=10 if size <= 12 else 8.5)
        for row, column in np.ndindex(size, size):
            # What can be read inside a square, and is worth it.
            if size <= 12 and shares[row, column] >= 0.005:
                dark = shares[row, column] > 0.6 * largest
                axes.annotate(
                    f"{100 * shares[row, column]:.0f}",
                    (column, row),
                    ha="center",
                    va="center",
                    fontsize=8.5,
                    color="#ffffff" if dark else None,
                )
        axes.spines[:].set_visible(False)

    return draw(name, f"{title} (strongest: {100 * largest:.0f} %)", alt, paint, height=395)
