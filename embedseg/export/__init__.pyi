from .exporters import (
    EXPORTERS as EXPORTERS,
    check_export as check_export,
    check_format as check_format,
    export_objects as export_objects,
    require as require,
)
from .importers import IMPORTERS as IMPORTERS, import_objects as import_objects
from .mesh import Measures as Measures, MeshOptions as MeshOptions
from .mesh_files import (
    WRITERS as WRITERS,
    check_outputs as check_outputs,
    save_surfaces as save_surfaces,
)
from .objects import Objects as Objects
