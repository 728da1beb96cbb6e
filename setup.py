"""What the package is called, what it needs and what goes into the wheel."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "embedseg/common/version.py").read_text())[1]

EXTRAS = {
    "large": ["bokeh>=3.5", "dask[distributed]>=2025.1", "ome-zarr>=0.12", "zarr>=3.1"],
    "napari": ["napari[all]>=0.6.5"],
    # What bioimageio.spec 0.5 describes cannot be read with pydantic 2.14.
    "zoo": [
        "bioimageio.core>=0.9",
        "onnx>=1.18",
        "onnxruntime>=1.22",
        "onnxscript>=0.5",
        "pydantic<2.14",
    ],
    "bioio": ["bioio>=3.0", "bioio-czi>=3.0", "bioio-lif>=2.0", "bioio-nd2>=2.0"],
    "rois": ["roifile>=2025.1"],
    "mesh": ["fast-simplification>=0.1.9", "trimesh>=5.2"],
    "track": ["laptrack>=0.17"],
    "hdf5": ["h5py>=3.12"],
    # Is installed without the extra too where there are wheels.
    "graph": ["bioimage-cpp>=0.10"],
    "log": ["tensorboard>=2.19"],
    "docs": ["mkdocs-material>=9.6", "mkdocstrings-python>=1.16"],
}
TEST = [
    "h5py>=3.12",
    "hypothesis>=6.130",
    "ipykernel>=6.29",
    "mwatershed>=0.5",
    "mypy>=1.15",
    "nbclient>=0.10",
    "nbformat>=5.10",
    "pycocotools>=2.0.8",
    "pytest>=8.3",
    "pytest-qt>=4.4",
    "pytest-xdist>=3.6",
    "ruff>=0.11",
    "typos>=1.30",
    *EXTRAS["bioio"],
    *EXTRAS["graph"],
    *EXTRAS["large"],
    *EXTRAS["log"],
    *EXTRAS["mesh"],
    *EXTRAS["napari"],
    *EXTRAS["rois"],
    *EXTRAS["track"],
    *EXTRAS["zoo"],
]

setup(
    name="embedseg-nd",
    version=VERSION,
    description="Instance segmentation of microscopy images in 2D and 3D by spatial embeddings",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The embedseg developers",
    license="BSD-3-Clause",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Processing",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    # The samples lie in data/ at the top, and inside the package once it is installed.
    packages=[*find_packages(include=["embedseg", "embedseg.*"]), "embedseg.samples"],
    package_dir={"embedseg.samples": "data"},
    package_data={
        "": ["*.pyi"],
        "embedseg": ["py.typed", "ARCHITECTURE.md"],
        "embedseg.napari": ["napari.yaml"],
        "embedseg.report": ["page.html", "page.css", "page.js"],
        "embedseg.samples": ["*/README.md", "*/**/*.tif"],
    },
    install_requires=[
        # For Linux on ARM there are no wheels: methods on graphs are missing there.
        "bioimage-cpp>=0.10; sys_platform != 'linux' or platform_machine == 'x86_64'",
        "connected-components-3d>=3.20",
        "edt>=3.0",
        "imagecodecs>=2024.12",
        "jinja2>=3.1",
        "lazy-loader>=0.4",
        "lightning-fabric>=2.5",
        "markupsafe>=2.1",
        "matplotlib>=3.9",
        "numba>=0.61",
        "numpy>=2.0",
        "pydantic>=2.10",
        "rich>=13.9",
        "safetensors>=0.5",
        "scikit-image>=0.25",
        "scipy>=1.14",
        "tifffile>=2024.12",
        "torch>=2.6",
        "tqdm>=4.67",
        "typer>=0.15",
    ],
    extras_require={
        **EXTRAS,
        "test": TEST,
        "all": sorted({need for extra in EXTRAS.values() for need in extra}),
    },
    # Other packages add methods under the entry-point group "embedseg.methods"; nets and formats
    # under the groups named at `NETS`, `EXPORTERS` and `IMPORTERS`:
    #     entry_points={"embedseg.methods": ["my-method = my_package.method:MyMethod"]}
    entry_points={
        "console_scripts": ["embedseg = embedseg.cli:main"],
        "napari.manifest": ["embedseg-nd = embedseg.napari:napari.yaml"],
    },
)
