"""Models in the formats of other programs: BioImage Model Zoo, ONNX.

::

    architecture.py  The net of a package, for programs that load its weights with torch
    description.py   Description of a model in the terms of the BioImage Model Zoo
    example.py       Example images that a package shows and is tested with
    exporters.py     Exporters of models by format
    importer.py      Models read back from packages that embedseg wrote
    onnx_export.py   The net of a model as ONNX
    package.py       Packages of the BioImage Model Zoo
    readme.py        Documentation inside a package: use, limits, citations
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
