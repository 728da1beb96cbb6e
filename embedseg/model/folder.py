"""The folder of a model: its files, and what may be done to them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedseg.common import check_output_folder, remove_partial_files, write_text
from embedseg.nets import WEIGHTS, load_weights
from embedseg.training import CHECKPOINT, HISTORY, Row, read_history, write_history
from embedseg.types import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from embedseg.model.config import Config
    from embedseg.model.tuning import Tuned

CONFIG, TUNING = "config.json", "tuning.json"
#: The file that makes a folder that of an ensemble, and the folder of its members.
ENSEMBLE, MEMBERS = "ensemble.json", "members"
#: Files without which there is no model, and all that go with it when it is copied.
NEEDED = (CONFIG, WEIGHTS)
MODEL = (*NEEDED, HISTORY, TUNING)
#: What a model, an ensemble or a training may have left in a folder.
LEFT = (*MODEL, CHECKPOINT, ENSEMBLE, MEMBERS)


@dataclass(frozen=True)
class Member:
    """A member of an ensemble: the folder of its model, and its weight in the mean."""

    folder: Path
    weight: float


@dataclass(frozen=True)
class ModelFolder:
    """The folder of a model.

    Attributes
    ----------
    path : Path

    Examples
    --------
    >>> import tempfile
    >>> folder = ModelFolder(Path(tempfile.mkdtemp()) / "nuclei")
    >>> folder.exists(), folder.members(), folder.history()
    (False, (), [])
    """

    path: Path

    def exists(self) -> bool:
        """Return whether there is a model, or one whose training has begun."""
        return (self.path / CONFIG).is_file()

    def resumable(self) -> bool:
        """Return whether a training left a checkpoint."""
        return (self.path / CHECKPOINT).is_file()

    # -- reading -----------------------------------------------------------------------------------
    def config(self) -> Config:
        """Read the configuration.

        Raises
        ------
        UsageError
            If the folder holds no model, or a configuration that is not valid.
        """
        from embedseg.model.config import load_config

        if not self.exists():
            raise UsageError(f"{self.path}: no model here ({CONFIG} is missing)")
        return load_config(self.path / CONFIG)

    def weights(self) -> dict[str, Tensor]:
        """Read the weights, onto the CPU.

        Raises
        ------
        UsageError
            If there are none yet, or they cannot be read.
        """
        path = self.path / WEIGHTS
        if not path.is_file():
            raise UsageError(
                f"{self.path}: no weights yet ({path.name} is missing); "
                "was the training stopped before its first validation?"
            )
        return load_weights(path)

    def history(self) -> list[Row]:
        """Read the training history; empty where there is none."""
        return read_history(self.path / HISTORY)

    def trials(self) -> dict[str, Any] | None:
        """Read what tuning tried: `words`, its message, and `trials`; None if nothing was tuned."""
        try:
            held = json.loads((self.path / TUNING).read_text(encoding="utf-8"))
            return {"words": str(held["words"]), "trials": [dict(each) for each in held["trials"]]}
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def members(self) -> tuple[Member, ...]:
        """Read the members of an ensemble; there are none where the folder holds one model.

        Raises
        ------
        UsageError
            If the list cannot be read, or a member is missing.
        """
        path = self.path / ENSEMBLE
        if not path.is_file():
            return ()
        try:
            listed = json.loads(path.read_text(encoding="utf-8"))
            members = tuple(
                Member(self.path / MEMBERS / str(each["name"]), float(each["weight"]))
                for each in listed
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: no readable ensemble ({error})") from None
        for member in members:
            if not (member.folder / WEIGHTS).is_file():
                raise UsageError(f"{member.folder}: a member of the ensemble is missing")
        return members

    def parts(self) -> list[ModelFolder]:
        """Return this folder and those of its members."""
        return [self, *(ModelFolder(member.folder) for member in self.members())]

    def weights_files(self) -> list[Path]:
        """Return all files of weights, those of members too."""
        return sorted(self.path.rglob(WEIGHTS))

    def fingerprint(self) -> str:
        """Return a digest of settings and weights, those of members too."""
        digest = hashlib.sha256()
        for path in sorted(self.path.rglob("*")):
            if path.name in (CONFIG, WEIGHTS, ENSEMBLE):
                digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    # -- writing -----------------------------------------------------------------------------------
    def save_config(self, config: Config) -> None:
        """Write the configuration."""
        from embedseg.model.config import save_config

        save_config(config, self.path / CONFIG)

    def save_history(self, history: Sequence[Row]) -> None:
        """Write the training history."""
        write_history(history, self.path / HISTORY)

    def save_trials(self, tuned: Tuned) -> None:
        """Write what tuning tried: its message, and each setting with its score."""
        trials = [{**settings, tuned.method.primary: score} for settings, score in tuned.trials]
        text = json.dumps({"words": tuned.message, "trials": trials}, indent=2)
        write_text(self.path / TUNING, text + "\n")

    def save_members(self, members: tuple[Member, ...]) -> None:
        """Write the list of an ensemble's members."""
        listed = [{"name": each.folder.name, "weight": each.weight} for each in members]
        write_text(self.path / ENSEMBLE, json.dumps(listed, indent=2) + "\n")

    def check_free(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Check that no model is overwritten by mistake; one to resume may not have begun yet.

        Raises
        ------
        UsageError
            If something is in the folder and neither `resume` nor `overwrite` allows that.
        """
        if not resume or not self.exists():
            remove_partial_files(self.path)
            check_output_folder(self.path, overwrite)

    def prepare(self, *, resume: bool = False) -> None:
        """Make the folder for a training; of an earlier one that is not resumed nothing stays."""
        self.path.mkdir(parents=True, exist_ok=True)
        remove_partial_files(self.path)
        if not resume:
            for name in LEFT:
                if name != MEMBERS:
                    (self.path / name).unlink(missing_ok=True)
