"""Documentation inside a package: use, limits, citations."""

from __future__ import annotations

from embedseg.common import format_shape
from embedseg.types import MapSpec
from embedseg.zoo.description import activation_of
from embedseg.zoo.exporters import TASKS, Release

#: The publications of the method, as in CITATION.cff.
CITATIONS = (
    {
        "text": "Lalit, Tomancak, Jug: Embedding-based Instance Segmentation in Microscopy. "
        "MIDL 2021.",
        "url": "https://proceedings.mlr.press/v143/lalit21a.html",
    },
    {
        "text": "Lalit, Tomancak, Jug: EmbedSeg: Embedding-based Instance Segmentation for "
        "Biomedical Microscopy Data. Medical Image Analysis 81, 2022.",
        "doi": "10.1016/j.media.2022.102523",
    },
    {
        "text": "Neven, De Brabandere, Proesmans, Van Gool: Instance Segmentation by Jointly "
        "Optimizing Spatial Embeddings and Clustering Bandwidth. CVPR 2019.",
        "url": "https://arxiv.org/abs/1906.11109",
    },
)

PAGE = """# {name}

{description}

## Use

The net in this package puts out maps, not labels: `embedseg` decodes these. It is a Python package
(`embedseg-nd`), whose model this is, unchanged:

    embedseg import PACKAGE.zip -o model
    embedseg predict model IMAGES -o labels

Other programs can run the net. {activated} Its input:

- whole images, normalised as a whole, not tile by tile; {spacing};
- sizes that are multiples of {divisor} pixels;
- for the PyTorch weights `embedseg-nd`, which has the net; the ONNX weights need nothing else.

| channels | map | activation |
| --- | --- | --- |
{maps}

Decoding: method `{method}`, with the options in `config.json`.

Where both percentiles of a channel are the same, as in images that are nearly empty, embedseg
normalises with its smallest and largest value instead, which the description cannot express.

## Licence

{license}

## Validation

`{test}` holds the net's output for the example, {source}. `embedseg evaluate model DATA` scores the
model on your annotated images.
{history}"""


def page(release: Release, source: str, test: str) -> str:
    """Return the documentation of a package, as Markdown.

    Parameters
    ----------
    release : Release
    source : str
        Origin of the example.
    test : str
        Name of the file with the net's output for it.
    """
    config, about = release.model.config, release.about
    specs, sizes = config.method.maps(config.ndim), format_shape(f"{s:g}" for s in config.spacing)
    return PAGE.format(
        name=release.name,
        description=release.description,
        method=config.method.type,
        test=test,
        source=source,
        spacing=f"{sizes} µm per pixel"
        if config.spacing_known
        else "objects about as large as in the training images",
        divisor=format_shape(release.net.divisor),
        maps=_table(specs),
        activated="Its output is activated as described."
        if activation_of(specs) != "none"
        else "Its output is raw: the activations below are not part of it.",
        license=f"The weights are under {about.license}."
        if about.license
        else "None is given for the weights: ask their authors.",
        history=_history(release),
    )


def _table(specs: tuple[MapSpec, ...]) -> str:
    rows, start = [], 0
    for spec in specs:
        end = start + spec.channels
        span = str(start) if spec.channels == 1 else f"{start} to {end - 1}"
        rows.append(f"| {span} | {spec.name} ({spec.kind}) | {spec.activation} |")
        start = end
    return "\n".join(rows)


def _history(release: Release) -> str:
    name = f"val_{release.model.config.method.primary}"
    scores = [row[name] for row in release.model.history if name in row]
    return (
        f"In training, {name[4:]} on the validation images was {max(scores):.3f}.\n"
        if scores
        else ""
    )


def tags(release: Release) -> list[str]:
    """Return the keywords of the model."""
    config = release.model.config
    task = TASKS[config.method.reads].lower().replace(" ", "-")
    return [
        task,
        f"{config.ndim}d",
        config.method.type,
        config.net.type,
        "embedseg",
        "pytorch",
        "onnx",
    ]
