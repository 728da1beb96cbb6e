from .exporters import (
    EXPORTERS as EXPORTERS,
    Objects as Objects,
    check_export as check_export,
    check_format as check_format,
    export_objects as export_objects,
    needed as needed,
    refuse_file as refuse_file,
)
from .importers import IMPORTERS as IMPORTERS, import_objects as import_objects
from .mesh import Measures as Measures, MeshOptions as MeshOptions
from .mesh_files import (
    WRITERS as WRITERS,
    check_outputs as check_outputs,
    save_surfaces as save_surfaces,
)
