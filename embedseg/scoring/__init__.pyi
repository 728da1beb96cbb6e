from .classes import DenseScores as DenseScores
from .error_types import ErrorTypes as ErrorTypes, classify_errors as classify_errors
from .object_tables import object_table as object_table
from .objects import (
    DENSE as DENSE,
    Scores as Scores,
    find_errors as find_errors,
    match_objects as match_objects,
    object_cover as object_cover,
    score as score,
)
from .scoring import (
    ClassScoring as ClassScoring,
    ObjectScoring as ObjectScoring,
    Scoring as Scoring,
    Summary as Summary,
    Table as Table,
)
