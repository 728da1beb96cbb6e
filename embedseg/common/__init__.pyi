from .files import (
    fill_folder as fill_folder,
    refuse_used as refuse_used,
    remove_partial_files as remove_partial_files,
    write_aside as write_aside,
    write_text as write_text,
)
from .machine import _free_of_groups as _free_of_groups, _free_of_machine as _free_of_machine
from .progress import Progress as Progress, Stopped as Stopped, open_bar as open_bar
from .text import shorten as shorten
from .version import __version__ as __version__
