from .extras import missing_library as missing_library
from .files import (
    FULL as FULL,
    check_not_inputs as check_not_inputs,
    check_output_file as check_output_file,
    check_output_folder as check_output_folder,
    disk_is_full as disk_is_full,
    made_folder as made_folder,
    name_full_disk as name_full_disk,
    refuse_foreign as refuse_foreign,
    remove_partial_files as remove_partial_files,
    write_file as write_file,
    write_folder as write_folder,
    write_rows as write_rows,
    write_text as write_text,
)
from .locking import LOCK as LOCK, lock_folder as lock_folder, lock_output as lock_output
from .machine import free_memory as free_memory, total_memory as total_memory
from .picking import pick_evenly as pick_evenly
from .progress import Progress as Progress, Stopped as Stopped, open_bar as open_bar
from .registry import Registry as Registry
from .text import (
    format_position as format_position,
    format_shape as format_shape,
    normal_name as normal_name,
    plural as plural,
    quote as quote,
    shorten as shorten,
    unknown_name as unknown_name,
)
from .version import __version__ as __version__
