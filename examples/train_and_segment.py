"""Train on a folder of images and masks, segment a new image, inspect each stage.

Takes about four minutes on two CPU cores; with EMBEDSEG_FAST=1 some seconds. Runs on the sample
images that come with the package, or on your own: python train_and_segment.py my_data
"""

import logging
import os
import sys
from pathlib import Path

import embedseg
from embedseg.demo import sample_folder
from embedseg.images import write_labels
from embedseg.plots import save_overlay

logging.basicConfig(level=logging.INFO, format="%(message)s")
fast = bool(os.environ.get("EMBEDSEG_FAST"))
data = Path(sys.argv[1]) if len(sys.argv) > 1 else sample_folder("nuclei")

# All settings are planned from the data: crop, unit, bandwidth, batch. Any may be changed.
config = embedseg.plan(data).changed({"train.steps_per_epoch": 20})
model = embedseg.Segmenter.new(config)
model.fit(data, time_limit="10s" if fast else "3m")
model.save("example-model", overwrite=True)

# A saved model is a folder.
model = embedseg.Segmenter.load("example-model")
path = sorted((data / "test" / "images").glob("*.tif"))[0]
image = embedseg.read_image(path)
maps = model.predict(image.data, axes=image.axes, spacing=image.spacing)
print("seeds above 0.5:", int((maps["seed"] > 0.5).sum()), "pixels")

segmentation = model.decode(maps)
assert segmentation.objects is not None
print(
    "objects:",
    segmentation.labels.max(),
    "largest:",
    segmentation.objects["size"].max(initial=0),
    "pixels",
)

labels = model.segment(image.data, axes=image.axes, spacing=image.spacing)
write_labels(Path("example-labels.tif"), labels, image.spacing, image.axes.replace("C", ""))
save_overlay(Path("example-overlay.png"), image.data, None, labels)
