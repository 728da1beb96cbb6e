from .checkpoint import (
    CHECKPOINT as CHECKPOINT,
    DataPrint as DataPrint,
    check_checkpoint as check_checkpoint,
)
from .curves import NO_LOSS as NO_LOSS, draw_history as draw_history, save_history as save_history
from .history import (
    HISTORY as HISTORY,
    Row as Row,
    read_history as read_history,
    write_history as write_history,
)
from .launch import run_training as run_training
from .options import TrainOptions as TrainOptions
from .run import Run as Run, TrainingProgress as TrainingProgress, Watch as Watch
from .tensorboard import LOGS as LOGS
from .validation import ValidationResult as ValidationResult
