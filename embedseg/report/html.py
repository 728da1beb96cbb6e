"""The HTML page: sections rendered into one file."""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

from markupsafe import Markup

from embedseg.common import __version__, write_text
from embedseg.report.charts import COLOUR_COUNT, DASHES, Chart, draw_svg
from embedseg.report.gallery import SHOWN_LAYERS, GalleryEntry
from embedseg.report.overlays import LegendItem
from embedseg.scoring import Table
from embedseg.types import DataError

log = logging.getLogger("embedseg")

#: Start of the tag that identifies a report.
GENERATOR = '<meta name="generator" content="embedseg '


@dataclass(frozen=True)
class Section:
    """A section of a page; empty parts are left out.

    Attributes
    ----------
    title : str
    paragraphs : sequence of str
    facts : sequence of (str, str)
        Names and values.
    tables, charts
        Drawn below the paragraphs.
    legend : sequence of LegendItem
        Colours and marks, and their meaning.
    pictures : sequence of GalleryEntry
        Images with pictures.
    command : str
        The command line.
    """

    title: str
    paragraphs: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    legend: Sequence[LegendItem] = ()
    pictures: Sequence[GalleryEntry] = ()
    command: str = ""

    def __bool__(self) -> bool:
        return any(
            (self.paragraphs, self.facts, self.tables, self.charts, self.pictures, self.command)
        )


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes
    ----------
    title, lead : str
        Heading, and the result in a sentence.
    tiles : dict of str to str
        Main numbers by name.
    sections : list of Section
    footer : str
    """

    title: str
    lead: str = ""
    tiles: dict[str, str] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    footer: str = ""


def render_page(page: Page) -> str:
    """Return a page as HTML.

    Examples
    --------
    >>> html = render_page(Page("a<b", sections=[Section("Words", ["c & d"])]))
    >>> "<title>a&lt;b</title>" in html, "<p>c &amp; d</p>" in html
    (True, True)
    """
    from jinja2 import Environment, StrictUndefined

    engine = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    engine.filters |= {"svg": draw_svg, "key": _draw_key, "text_columns": _text_columns}
    script = _read_part("page.js")
    html = engine.from_string(_read_part("page.html")).render(
        page=Page(
            page.title, page.lead, page.tiles, [each for each in page.sections if each], page.footer
        ),
        generator=f"embedseg {__version__}",
        css=Markup(_read_part("page.css")),
        js=Markup(script),
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        # Without truth there are no errors to show; with truth the prediction would cover them.
        shown={True: set(SHOWN_LAYERS) - {"prediction"}, False: set(SHOWN_LAYERS)},
    )
    # File names may hold bytes that are not valid UTF-8.
    return html.encode("utf-8", "replace").decode("utf-8")


def write_page(path: Path | str, make: Callable[[], Page]) -> bool:
    """Make and write a report; errors are logged, never raised.

    Parameters
    ----------
    path : path
        An existing report is overwritten, any other file is kept.
    make : callable
        Returns the page.

    Returns
    -------
    bool
        Whether it was written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "report.html"
    >>> write_page(path, lambda: Page("nothing")), path.is_file()
    (True, True)
    """
    path = Path(path)
    try:
        if (
            path.exists()
            and GENERATOR not in path.read_text(encoding="utf-8", errors="replace")[:2000]
        ):
            raise DataError("exists and is not a report")
        write_text(path, render_page(make()))
    except Exception as error:  # a failed report must not cost the work it describes
        log.debug("%s", path, exc_info=True)
        log.warning("%s: not written (%s: %s)", path, type(error).__name__, error)
        return False
    return True


@cache
def _read_part(name: str) -> str:
    """Return the text of a file beside this one, without its last line break."""
    return files("embedseg.report").joinpath(name).read_text(encoding="utf-8").strip()


def _text_columns(table: Table) -> list[bool]:
    """Return whether each column of a table holds text, not numbers, by its longest cell."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [
        not any(char.isdigit() for char in max(cells, key=len, default="")[:2]) for cells in columns
    ]


def _draw_key(chart: Chart, number: int) -> Markup:
    """Draw the legend key of a series."""
    if chart.kind == "lines":
        return Markup(
            '<svg viewBox="0 0 40 12" aria-hidden="true"><path class="line s{}" '
            'stroke-dasharray="{}" d="M2 6H38"/></svg>'
        ).format(number % COLOUR_COUNT, DASHES[number % len(DASHES)])
    dashes = DASHES[number % len(DASHES)] if chart.kind == "steps" else ""
    return Markup(
        '<svg viewBox="0 0 40 12" aria-hidden="true"><path class="line fill{} s{}" '
        'stroke-dasharray="{}" d="M3 2H37V10H3Z"/></svg>'
    ).format(number % 2, number % COLOUR_COUNT, dashes)
