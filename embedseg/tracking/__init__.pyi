from .linking import (
    Tracked as Tracked,
    check_tracker as check_tracker,
    link_frames as link_frames,
)
from .tracks import (
    Track as Track,
    list_tracks as list_tracks,
    split_gaps as split_gaps,
    write_tracks as write_tracks,
)
