from .annotation import known_axes as known_axes
from .boxes import boxes_by_label as boxes_by_label, object_boxes as object_boxes
from .centres import centroids as centroids, medoids as medoids, nearest_medians as nearest_medians
from .cleaning import (
    CleanOptions as CleanOptions,
    bordering as bordering,
    clean as clean,
    tidied as tidied,
)
from .linking import link_slices as link_slices
from .numbering import (
    drop_small as drop_small,
    object_ids as object_ids,
    object_sizes as object_sizes,
    relabel as relabel,
    renumber as renumber,
)
from .overlaps import (
    Compared as Compared,
    assign as assign,
    compared as compared,
    iou as iou,
    overlap_table as overlap_table,
)
from .pieces import (
    face_pieces as face_pieces,
    fill_holes as fill_holes,
    split_pieces as split_pieces,
)
