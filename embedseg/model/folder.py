"""The folder of a model: its files, and what may be done to them."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedseg.common import (
    LOCK,
    check_output_folder,
    lock_folder,
    name_full_disk,
    refuse_foreign,
    write_text,
)
from embedseg.nets import WEIGHTS, load_weights
from embedseg.training import CHECKPOINT, HISTORY, LOGS, Row, read_history, write_history
from embedseg.types import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from embedseg.model.config import Config
    from embedseg.model.tuning import Tuned

#: Parts of a configuration, each with its options.
PARTS = ("normalize", "method", "net", "train", "predict", "data")
#: Values of a net that are no parameters: what its normalisation has seen. The most bytes that the
#: head of a file of weights has.
STATISTICS, LARGEST_HEAD = ("running_mean", "running_var", "num_batches_tracked"), 10**8
CONFIG, TUNING = "config.json", "tuning.json"
#: The file that makes a folder that of an ensemble, and the folder of its members.
ENSEMBLE, MEMBERS = "ensemble.json", "members"
#: File that keeps the halo of its net, for images in blocks.
HALO = "halo.json"
#: Files without which there is no model, and all that go with it when it is copied.
NEEDED = (CONFIG, WEIGHTS)
MODEL = (*NEEDED, HISTORY, TUNING)
#: What a model, an ensemble or a training may have left in a folder.
LEFT = (*MODEL, CHECKPOINT, ENSEMBLE, MEMBERS)
#: Folder in that of a model where one that replaces it is made, and its name once that is whole.
ASIDE, NEXT = ".aside", ".next"


@dataclass(frozen=True)
class Member:
    """A member of an ensemble.

    Attributes
    ----------
    folder : Path
        Folder of its model.
    weight : float
        In the mean.
    lead : bool
        Whether maps are averaged on its grid; so of one member.
    """

    folder: Path
    weight: float
    lead: bool = False


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
    >>> folder.exists(), folder.usable(), folder.members(), folder.history()
    (False, False, (), [])
    """

    path: Path

    def exists(self) -> bool:
        """Return whether there is a model, or one whose training has begun."""
        return self._file(CONFIG).is_file()

    def usable(self) -> bool:
        """Return whether there is a model to apply: settings, and weights or members."""
        return self._has_config() and any(
            self._file(name).is_file() for name in (WEIGHTS, ENSEMBLE)
        )

    def resumable(self) -> bool:
        """Return whether a training left a checkpoint."""
        return self._file(CHECKPOINT).is_file()

    def unfinished(self) -> ModelFolder:
        """Return the folder of a training to resume: aside, if it was to replace the model."""
        aside = ModelFolder(self.path / ASIDE)
        return aside if aside.exists() and aside.resumable() else self

    def _file(self, name: str) -> Path:
        """Return where a file is: that of a new model which is whole, before it has moved up."""
        ahead = self.path / NEXT
        # The configuration moves first: where it is still ahead, all files here are old.
        if (ahead / CONFIG).exists() or (ahead / name).exists():
            return ahead / name
        return self.path / name

    # -- reading -----------------------------------------------------------------------------------
    def check_there(self) -> None:
        """Check that there is a model, or one whose training has begun.

        Raises
        ------
        UsageError
            If there is none.
        """
        if not self.exists():
            raise UsageError(f"{self.path}: no model here ({CONFIG} is missing)")

    def config(self) -> Config:
        """Read the configuration.

        Raises
        ------
        UsageError
            If the folder holds no model, or a configuration that is not valid.
        """
        from embedseg.model.config import load_config

        self.check_there()
        return load_config(self._file(CONFIG))

    def settings(self) -> dict[str, Any]:
        """Read the configuration as it is written, without torch and without checks of values.

        Raises
        ------
        UsageError
            As `config`, if it is none.
        """
        self.check_there()
        with suppress(OSError, ValueError, RecursionError):
            held = json.loads(self._file(CONFIG).read_text(encoding="utf-8-sig"))
            if isinstance(held, dict) and all(isinstance(held.get(p), dict) for p in PARTS):
                return held
        # Of an earlier version, or not valid: then the error names what is wrong.
        return self.config().model_dump(mode="json")

    def parameters(self) -> int | None:
        """Count the parameters of the net by the head of the file of weights.

        None where there are no weights yet, or the file is damaged.
        """
        try:
            with self._file(WEIGHTS).open("rb") as file:
                size = int.from_bytes(file.read(8), "little")
                head = json.loads(file.read(min(size, LARGEST_HEAD)))
            return sum(
                int(math.prod(entry["shape"]))
                for name, entry in head.items()
                if name != "__metadata__" and name.rpartition(".")[2] not in STATISTICS
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def weights(self) -> dict[str, Tensor]:
        """Read the weights, onto the CPU.

        Raises
        ------
        UsageError
            If there are none yet, or they cannot be read.
        """
        path = self._file(WEIGHTS)
        if not path.is_file():
            raise UsageError(
                f"{self.path}: no weights yet ({path.name} is missing); "
                "was the training stopped before its first validation?"
            )
        return load_weights(path)

    def history(self) -> list[Row]:
        """Read the training history; empty where there is none."""
        return read_history(self._file(HISTORY))

    def trials(self) -> dict[str, Any] | None:
        """Read what tuning tried: `words`, its message, and `trials`; None if nothing was tuned."""
        try:
            held = json.loads(self._file(TUNING).read_text(encoding="utf-8-sig"))
            return {"words": str(held["words"]), "trials": [dict(each) for each in held["trials"]]}
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def members(self) -> tuple[Member, ...]:
        """Read the members of an ensemble, as they were given; one model alone has none.

        Raises
        ------
        UsageError
            If the list cannot be read, or a member is missing or lies elsewhere.
        """
        path = self._file(ENSEMBLE)
        if not path.is_file():
            return ()
        try:
            listed = json.loads(path.read_text(encoding="utf-8-sig"))
            # Ensembles of older versions mark no lead: it came first.
            lead = next((place for place, each in enumerate(listed) if each.get("lead")), 0)
            members = tuple(
                Member(
                    self._file(MEMBERS) / str(each["name"]), float(each["weight"]), place == lead
                )
                for place, each in enumerate(listed)
            )
        except (
            OSError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            RecursionError,
        ) as error:
            raise UsageError(f"{path}: no readable ensemble ({error})") from None
        weights = [member.weight for member in members]
        if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise UsageError(f"{path}: weights {weights}, expected 0 or more, and not all 0")
        for member in members:
            if member.folder.parent != self._file(MEMBERS) or member.folder.name == "..":
                raise UsageError(f"{path}: the member {member.folder} lies outside {MEMBERS}/")
            if not (member.folder / WEIGHTS).is_file():
                raise UsageError(f"{member.folder}: a member of the ensemble is missing")
        return members

    def parts(self) -> list[ModelFolder]:
        """Return this folder and those of its members."""
        return [self, *(ModelFolder(member.folder) for member in self.members())]

    def weights_files(self) -> list[Path]:
        """Return all files of weights, those of members too."""
        return [path for path in self._seen() if path.name == WEIGHTS]

    def fingerprint(self) -> str:
        """Return a digest of settings and weights, those of members too."""
        digest = hashlib.sha256()
        for path in self._seen():
            if path.name in (CONFIG, WEIGHTS, ENSEMBLE):
                digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def _seen(self) -> list[Path]:
        """Return all files, but for those of a model that is being made."""
        return sorted(
            path
            for path in self.path.rglob("*")
            if not path.relative_to(self.path).parts[0].startswith(".")
        )

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
        trials = [{**settings, tuned.goal: score} for settings, score in tuned.trials]
        text = json.dumps({"words": tuned.message, "trials": trials}, indent=2)
        write_text(self.path / TUNING, text + "\n")

    def save_members(self, members: tuple[Member, ...]) -> None:
        """Write the list of an ensemble's members."""
        listed = [
            {"name": each.folder.name, "weight": each.weight, "lead": each.lead} for each in members
        ]
        write_text(self.path / ENSEMBLE, json.dumps(listed, indent=2) + "\n")

    def check_free(self, *, resume: bool = False, overwrite: bool = False) -> None:
        """Check that no model is overwritten by mistake; one to resume may not have begun yet.

        Raises
        ------
        UsageError
            If something is in the folder and neither `resume` nor `overwrite` allows that; if what
            is there is no model, or an ensemble with files of others among its members; or a model
            to resume is complete, and there is nothing to resume it from.
        """
        if resume and self.unfinished().exists():
            if not self.unfinished().resumable() and self._complete():
                raise UsageError(
                    f"{self.path}: holds a model without {CHECKPOINT}, so there is no training to "
                    f"resume; train on from its weights with --from {self.path}, or anew with "
                    "--overwrite"
                )
            return
        if self.path.is_dir() and all(map(_is_leftover, self.path.iterdir())):
            return
        check_output_folder(self.path, overwrite)
        if self.path.is_dir():
            refuse_foreign(self.path, self._find_foreign())

    def _find_foreign(self) -> Path | None:
        """Return a file that is not to be replaced, if there is one.

        Beside the files of a model there may be others, which are left alone.
        """
        begun = any(self._file(name).exists() for name in (ASIDE, NEXT, CHECKPOINT))
        if not begun and not self._has_config():
            return next(iter(sorted(self.path.iterdir())), None)
        members = (path for path in sorted(self._file(MEMBERS).rglob("*")) if not path.is_dir())
        return next((path for path in members if path.name not in (*MODEL, HALO)), None)

    def _has_config(self) -> bool:
        try:
            held = json.loads(self._file(CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return False
        return isinstance(held, dict) and {"method", "net"} <= held.keys()

    def _complete(self) -> bool:
        """Return whether there is an ensemble, or a model that a training or a package left.

        A training that was killed before its first checkpoint may have left weights alone.
        """
        has = {name for name in (*MODEL, HISTORY, ENSEMBLE) if self._file(name).is_file()}
        return ENSEMBLE in has or (WEIGHTS in has and bool(has & {HISTORY, TUNING}))

    # -- making another ----------------------------------------------------------------------------
    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from working in the folder, and tidy up what killed ones left.

        Raises
        ------
        UsageError
            If another process holds the folder.
        """
        with lock_folder(self.path):
            # The processes that wrote them have ended, or they would hold the lock.
            for part in self.path.glob(".*.part"):
                shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
            self._move_up()
            yield

    def aside(self) -> Path:
        """Return an empty folder in which a model is made that is to replace what is here."""
        aside = self.path / ASIDE
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        return aside

    @contextmanager
    def replaced(self) -> Iterator[ModelFolder]:
        """Yield an empty folder for a model that replaces what is here, once it is whole.

        Killed at any moment, the old model or the new one is there; after an error, the old one.

        Raises
        ------
        UsageError
            If another process holds the folder.
        """
        with self.locked():
            aside = self.aside()
            try:
                with name_full_disk(self.path):
                    yield ModelFolder(aside)
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
            self.publish()

    def publish(self) -> None:
        """Replace what is here by the model made aside; killed at any moment, one of both is there.

        Only files of a model are replaced.
        """
        (self.path / ASIDE).rename(self.path / NEXT)
        self._move_up()

    def _move_up(self) -> None:
        """Move up the files of a new model that is whole, of which some may have moved before."""
        ahead = self.path / NEXT
        if not ahead.is_dir():
            return
        names = {path.name for path in ahead.iterdir()}
        if CONFIG in names:  # all files here are old
            for name in LEFT:
                if name == MEMBERS:
                    shutil.rmtree(self.path / name, ignore_errors=True)
                elif name not in names:
                    (self.path / name).unlink(missing_ok=True)
        for name in sorted(names, key=lambda n: (n != CONFIG, n == ENSEMBLE, n == MEMBERS)):
            (ahead / name).replace(self.path / name)
        ahead.rmdir()


def _is_leftover(path: Path) -> bool:
    """Return whether a killed process left this, and it holds nothing."""
    return path.name in (LOCK, ASIDE) or (path.name.startswith(".") and path.suffix == ".part")


@dataclass(frozen=True)
class Making:
    """The training of a model for a folder; an older one stays there until this has weights.

    Attributes
    ----------
    folder : ModelFolder
        Held by this process.
    config : Config
    resumed : bool
        Whether the training takes up a checkpoint.
    work : Path
        Folder to write to until there are weights.
    """

    folder: ModelFolder
    config: Config
    resumed: bool
    work: Path

    @classmethod
    def plan(cls, folder: ModelFolder, config: Config, resumed: bool) -> Making:
        """Choose where to write: aside, if there is a model, or something of one."""
        if resumed:
            return cls(folder, config, resumed, folder.unfinished().path)
        old = any((folder.path / name).exists() for name in LEFT)
        return cls(folder, config, resumed, folder.path / ASIDE if old else folder.path)

    @property
    def home(self) -> Path:
        """Folder of the model."""
        return self.folder.path

    def begin(self) -> None:
        """Write the configuration, as all is known to be good."""
        if not self.resumed or self.work == self.home:
            shutil.rmtree(self.home / ASIDE, ignore_errors=True)
        self.work.mkdir(parents=True, exist_ok=True)
        ModelFolder(self.work).save_config(self.config)

    def publish(self) -> Path:
        """Replace an older model, as there are weights; return the folder to write to from now."""
        if self.work != self.home and self.work.is_dir():
            self.folder.publish()
        return self.home

    def abandon(self) -> None:
        """Remove what was written, unless there are weights or a checkpoint to resume."""
        if self.resumed or any((self.work / name).exists() for name in (WEIGHTS, CHECKPOINT)):
            return
        if self.work != self.home:
            shutil.rmtree(self.work, ignore_errors=True)
            return
        for name in (CONFIG, HISTORY):
            (self.home / name).unlink(missing_ok=True)
        shutil.rmtree(self.home / LOGS, ignore_errors=True)
