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
from embedseg.report.charts import COLOURS, DASHES, Chart, svg
from embedseg.report.gallery import SHOWN, Entry
from embedseg.report.overlays import Kind
from embedseg.scoring import Table
from embedseg.types import DataError

log = logging.getLogger("embedseg")

#: What tells a report from any other file of that name.
MARK = '<meta name="generator" content="embedseg '


@dataclass(frozen=True)
class Section:
    """A part of a page; what is empty is left out.

    Attributes
    ----------
    title : str
    words : sequence of str
        Paragraphs.
    facts : sequence of (str, str)
        Names and what they stand for.
    tables, charts
        In that order below the words.
    kinds : sequence of Kind
        Colours and marks, and what they mean.
    pictures : sequence of Entry
        Images with pictures.
    command : str
        What was typed.
    """

    title: str
    words: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Chart] = ()
    kinds: Sequence[Kind] = ()
    pictures: Sequence[Entry] = ()
    command: str = ""

    def __bool__(self) -> bool:
        return any((self.words, self.facts, self.tables, self.charts, self.pictures, self.command))


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes
    ----------
    title, lead : str
        What it is about, and what came out, in a sentence.
    tiles : dict of str to str
        The numbers that count.
    sections : list of Section
    footer : str
    """

    title: str
    lead: str = ""
    tiles: dict[str, str] = field(default_factory=dict)
    sections: Sequence[Section] = ()
    footer: str = ""


def render(page: Page) -> str:
    """Return a page as HTML.

    Examples
    --------
    >>> html = render(Page("a<b", sections=[Section("Words", ["c & d"])]))
    >>> "<title>a&lt;b</title>" in html, "<p>c &amp; d</p>" in html
    (True, True)
    """
    from jinja2 import Environment, StrictUndefined

    engine = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    engine.filters |= {"svg": svg, "key": _key, "words": _words}
    script = _part("page.js")
    html = engine.from_string(_part("page.html")).render(
        page=Page(
            page.title, page.lead, page.tiles, [each for each in page.sections if each], page.footer
        ),
        generator=f"embedseg {__version__}",
        css=Markup(_part("page.css")),
        js=Markup(script),
        hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        # Without a truth there are no errors to show, with one the prediction would cover them.
        shown={True: set(SHOWN) - {"prediction"}, False: set(SHOWN)},
    )
    # Names of files may hold bytes that are no text.
    return html.encode("utf-8", "replace").decode("utf-8")


def write_page(path: Path | str, make: Callable[[], Page]) -> bool:
    """Make and write a report; whatever goes wrong is logged, never raised.

    Parameters
    ----------
    path : path
        Replaced if a report is there; anything else is left as it is.
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
        if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace")[:2000]:
            raise DataError("there is a file of that name which is no report")
        write_text(path, render(make()))
    except Exception as error:  # a report must not cost the work that it is about
        log.debug("%s", path, exc_info=True)
        log.warning("%s: not written (%s: %s)", path, type(error).__name__, error)
        return False
    return True


@cache
def _part(name: str) -> str:
    """Return a file beside this one; its own end of line is none of the page's."""
    return files("embedseg.report").joinpath(name).read_text(encoding="utf-8").strip()


def _words(table: Table) -> list[bool]:
    """Tell which columns of a table hold words, not numbers, by their longest cell."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    return [
        not any(char.isdigit() for char in max(cells, key=len, default="")[:2]) for cells in columns
    ]


def _key(chart: Chart, number: int) -> Markup:
    """Draw what a line or a bar of a series looks like."""
    if chart.kind == "lines":
        return Markup(
            '<svg viewBox="0 0 40 12" aria-hidden="true"><path class="line s{}" '
            'stroke-dasharray="{}" d="M2 6H38"/></svg>'
        ).format(number % COLOURS, DASHES[number % len(DASHES)])
    dashes = DASHES[number % len(DASHES)] if chart.kind == "steps" else ""
    return Markup(
        '<svg viewBox="0 0 40 12" aria-hidden="true"><path class="line fill{} s{}" '
        'stroke-dasharray="{}" d="M3 2H37V10H3Z"/></svg>'
    ).format(number % 2, number % COLOURS, dashes)
