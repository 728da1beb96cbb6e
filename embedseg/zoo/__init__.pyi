from .exporters import About as About, export_model as export_model
from .importer import import_model as import_model
