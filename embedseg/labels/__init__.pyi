from .annotation import complete_axes as complete_axes
from .boxes import box_corners as box_corners, boxes_by_label as boxes_by_label
from .centres import centroids as centroids, medoids as medoids, nearest_medians as nearest_medians
from .cleaning import (
    CleanOptions as CleanOptions,
    clean as clean,
    clean_segmentation as clean_segmentation,
    find_border_objects as find_border_objects,
)
from .contact import (
    contact_share as contact_share,
    object_elongations as object_elongations,
    object_widths as object_widths,
)
from .linking import link_slices as link_slices
from .numbering import (
    drop_small as drop_small,
    object_ids as object_ids,
    object_sizes as object_sizes,
    relabel as relabel,
    relabel_crop as relabel_crop,
)
from .overlaps import (
    Overlaps as Overlaps,
    assign_pairs as assign_pairs,
    count_overlaps as count_overlaps,
    iou as iou,
    overlap_table as overlap_table,
)
from .pieces import (
    fill_holes as fill_holes,
    label_pieces as label_pieces,
    measure_pieces as measure_pieces,
    split_pieces as split_pieces,
)
