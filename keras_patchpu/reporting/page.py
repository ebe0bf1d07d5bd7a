"""A page that is one file: no script, and nothing that it would have to fetch."""

import os
import pathlib

import jinja2
import markupsafe

from keras_patchpu.reporting.charts import Chart
from keras_patchpu.whole_file import replaced_whole

FILE = "report.html"
_TIED = "\N{NO-BREAK SPACE}"
_ADVICE = "see to the disk, then write it anew with recipes/report.py"
_TEMPLATES = pathlib.Path(__file__).with_name("templates")


def render(template: str, **content) -> str:
    """A template filled with content, in which every text is escaped but that of a `Chart`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_as_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": as_percent, "number": as_number}
    return environment.get_template(template).render(**content)


def write_page(directory: str | os.PathLike, page: str) -> pathlib.Path:
    """Writes `report.html`, whole or not at all, and gives its path.

    Raises:
        InputError: it cannot be written.
    """
    path = pathlib.Path(directory) / FILE
    with replaced_whole(path, _ADVICE) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def as_percent(share: float | None, digits: int = 1) -> str:
    """A share from 0 to 1 in percent, or a dash for none."""
    return "–" if share is None or share != share else f"{100 * share:.{digits}f}{_TIED}%"


def as_number(number: float | None, digits: int = 0) -> str:
    """With a comma between thousands, or a dash for none."""
    return "–" if number is None or number != number else f"{number:,.{digits}f}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever is read best."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _as_text(value):
    if isinstance(value, Chart):
        return markupsafe.Markup(value.svg)
    if isinstance(value, markupsafe.Markup) or not isinstance(value, str) or value.isprintable():
        return value
    # Names of files may hold what is no text, such as lone surrogates, which no UTF-8 has.
    return "".join(char if char.isprintable() or char == _TIED else " " for char in value)
