"""Reports: one HTML page on a training, an evaluation, a prediction or a benchmark.

::

    benchmark_sections.py  Sections of a benchmark: errors and pictures of each kind of run
    charts.py            Charts as inline SVG
    contents.py          Contents of the pages, by command
    gallery.py           Galleries: numbers of all images, pictures of a few
    gallery_sections.py  Sections of a gallery: scores, errors, pictures
    html.py              The HTML page: sections rendered into one file
    images.py            Thumbnails, and pixels as data URIs
    overlays.py          Overlays of labels and errors in a page
    reports.py           Reports of a training, an evaluation, a prediction, a benchmark
    sections.py          Sections beside images: settings, curves, tuning, environment
    views.py             Views of labels: objects or classes
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
