"""The report of an inspection, to be read."""

from collections.abc import Callable, Sequence

from keras_patchpu.printable import printable

LONGEST_NAME = 30
# Rows of the histogram, and duplicates that are no leak; JSON has all.
MOST_ROWS = 20


def inspection_as_text(report: dict) -> str:
    """Tables of at most 100 columns and lists of all that is wrong, which may be longer.

    Args:
        report: what `inspect_splits` returned.
    """
    sections = [_facts(report), _labels(report), _histogram(report), _pairs(report)]
    sections += [*_problems(report), _summary(report)]
    return "\n\n".join("\n".join(lines) for lines in sections if lines)


def _facts(report):
    parts = report["splits"]
    rows = [[_shorten(parts[0]["name"]), *(part["split"] for part in parts)]]

    def add(title: str, cell: Callable[[dict], str | None]):
        cells = [cell(part) for part in parts]
        if any(cells):
            rows.append([title, *(text or "-" for text in cells)])

    add("images", lambda part: f"{part['images']:,}")
    add("images of the official split", lambda part: _number(part["official_images"]))
    add("is the truth known?", lambda part: "yes" if part["truth_known"] else "no")
    add("images without a positive label", lambda part: f"{part['images_without_positive']:,}")
    add("positive labels an image, mean", lambda part: _mean(part["labels_an_image"]["mean"]))
    add("positives kept by one an image", lambda part: _percent(part["kept_by_single_positive"]))
    add("width in pixels: min, median, max", lambda part: _range(part["widths"]))
    add("height", lambda part: _range(part["heights"]))
    add("file in kB", lambda part: _range(part["file_bytes"], 1000))
    add("all files in MB", lambda part: f"{part['total_bytes'] / 1e6:,.1f}")
    for kind in dict.fromkeys(kind for part in parts for kind in part["kinds"]):
        add(f"pictures of {kind}", lambda part, kind=kind: f"{part['kinds'].get(kind, 0):,}")
    add("broken pictures", lambda part: f"{len(part['broken_pictures']):,}")
    return _table(rows)


def _labels(report):
    parts = report["splits"]
    # Where every label is known, the negatives are the rest.
    partly = [any(label["unknown"] for label in part["labels"]) for part in parts]
    header = ["images with the label"]
    for part, unknown in zip(parts, partly, strict=True):
        header += [part["split"], "%"] + ["without", "unknown"] * unknown
    rows = [header]
    for labels in zip(*(part["labels"] for part in parts), strict=True):
        row = [_shorten(labels[0]["name"])]
        for label, part, unknown in zip(labels, parts, partly, strict=True):
            row += [f"{label['positives']:,}", _share(label["positives"], part["images"])]
            row += [f"{label['negatives']:,}", f"{label['unknown']:,}"] * unknown
        rows.append(row)
    return _table(rows)


def _histogram(report):
    parts = report["splits"]
    histograms = [part["labels_an_image"]["histogram"] for part in parts]
    length = max(map(len, histograms))
    rows = [["images with so many labels", *_heads(parts)]]
    for number in range(min(length, MOST_ROWS)):
        last = number == MOST_ROWS - 1 < length - 1
        row = [f"{number} or more" if last else str(number)]
        for histogram, part in zip(histograms, parts, strict=True):
            images = sum(histogram[number:] if last else histogram[number : number + 1])
            row += [f"{images:,}", _share(images, part["images"])]
        rows.append(row)
    return _table(rows) if length else []


def _pairs(report):
    parts = report["splits"]
    names = [label["name"] for label in parts[0]["labels"]]
    rows = [["images with both labels", *_heads(parts)]]
    for pair in parts[0]["frequent_pairs"]:
        first, second = (names.index(name) for name in pair["labels"])
        row = [" + ".join(map(_shorten, pair["labels"]))]
        for part in parts:
            images = part["cooccurrence"][first][second]
            row += [f"{images:,}", _share(images, part["images"])]
        rows.append(row)
    return _table(rows) if len(rows) > 1 else []


def _problems(report):
    """A section for each kind of fault that there is, and one for each kind of notice."""
    for part in report["splits"]:
        if part["bad_rows"]:
            yield [f"BAD ROWS of {part['split']}, left out above", *_indented(part["bad_rows"])]
    for part in report["splits"]:
        broken = [f"{item['file']}: {item['reason']}" for item in part["broken_pictures"]]
        if broken:
            yield [f"BROKEN PICTURES of {part['split']}", *_indented(broken)]
    leaks = [group for group in report["duplicates"] if group["leak"]]
    if leaks:
        title = "LEAKS: pictures that are in several splits, so that the test tells less"
        yield [title, *_indented(map(_group, leaks))]
    others = [group for group in report["duplicates"] if not group["leak"]]
    if others:
        lines = [_group(group) for group in others[:MOST_ROWS]]
        if len(others) > MOST_ROWS:
            lines.append(f"and {len(others) - MOST_ROWS:,} more, which --json lists")
        yield ["duplicates within a split", *_indented(lines)]


def _group(group):
    images = " = ".join(f"{image['split']} {image['key']}" for image in group["images"])
    return f"same {group['same']}: {images}"


def _summary(report):
    problems = report["problems"]
    if not any(problems.values()):
        return ["Nothing wrong was found."]
    counts = []
    for name, count in problems.items():
        name = name.replace("_", " ")
        if count:
            counts.append(f"{count:,} {name.removesuffix('s') if count == 1 else name}")
    return [f"Found {', '.join(counts)}."]


def _heads(parts):
    return [text for part in parts for text in (part["split"], "%")]


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """The first column begins at the left; each of the others ends where its cells end."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    ]


def _indented(lines):
    # Not wrapped: names in them are to be copied.
    return [f"  {printable(line)}" for line in lines]


def _shorten(name):
    name = printable(name)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."


def _number(number):
    return None if number is None else f"{number:,}"


def _mean(mean):
    return None if mean is None else f"{mean:.2f}"


def _percent(share):
    return None if share is None else f"{100 * share:.1f} %"


def _share(part, whole):
    return f"{100 * part / whole:.1f}" if whole else "-"


def _range(numbers, unit=1):
    if numbers is None:
        return None
    digits = 0 if unit == 1 else 1
    return ", ".join(f"{numbers[name] / unit:,.{digits}f}" for name in ("min", "median", "max"))
