from .classes import middle_views as middle_views, paint_classes as paint_classes
from .curves import (
    save_profiles as save_profiles,
    save_sizes as save_sizes,
    save_trials as save_trials,
)
from .figures import (
    MATCHED_COLOUR as MATCHED_COLOUR,
    MISSED_COLOUR as MISSED_COLOUR,
    NOT_ANNOTATED_COLOUR as NOT_ANNOTATED_COLOUR,
    SPURIOUS_COLOUR as SPURIOUS_COLOUR,
    Colours as Colours,
    paint_image as paint_image,
    save_figure as save_figure,
    take_plane as take_plane,
)
from .maps import save_maps as save_maps
from .montage import save_montage as save_montage
from .overlays import (
    paint_labels as paint_labels,
    plot_overlay as plot_overlay,
    save_overlay as save_overlay,
    save_preview as save_preview,
)
