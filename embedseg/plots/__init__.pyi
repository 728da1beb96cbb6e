from .classes import class_colours as class_colours, middle_views as middle_views
from .curves import (
    save_profiles as save_profiles,
    save_sizes as save_sizes,
    save_trials as save_trials,
)
from .figures import (
    MATCHED as MATCHED,
    MISSED as MISSED,
    NOT_ANNOTATED as NOT_ANNOTATED,
    SPURIOUS as SPURIOUS,
    Colours as Colours,
    cut as cut,
    image_colours as image_colours,
    save_figure as save_figure,
)
from .maps import save_maps as save_maps
from .montage import save_montage as save_montage
from .overlays import (
    label_colours as label_colours,
    overlay as overlay,
    save_overlay as save_overlay,
    save_preview as save_preview,
)
