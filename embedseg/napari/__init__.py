"""The napari plugin: widgets, readers, writers and sample data; `napari.yaml` names them."""
