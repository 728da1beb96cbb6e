"""Work in a thread, reported to the GUI."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from napari.qt.threading import create_worker
from napari.utils.notifications import notification_manager, show_error
from qtpy.QtCore import QCoreApplication, QObject, Signal
from qtpy.QtWidgets import QWidget

from embedseg.common import Stopped
from embedseg.types import DataError, UsageError

log = logging.getLogger("embedseg")


class Worker(QObject):
    """Worker of a widget: runs one function at a time in a thread, stopped with the widget.

    Signals: `progressed` brings what the function reports; `finished` its result; `failed` the
    message of an error, which is shown as a notification too; `closed` comes last in every case.
    """

    progressed = Signal(object)
    finished = Signal(object)
    failed = Signal(str)
    closed = Signal()
    _ended = Signal(object, object)

    def __init__(self, owner: QWidget) -> None:
        super().__init__()
        self.running = False
        self._stopped = threading.Event()
        self._ended.connect(self._end)
        # Connected to the event: this object may be deleted before its method is called.
        owner.destroyed.connect(self._stopped.set)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._stopped.set)

    def start(self, function: Callable[[Worker], Any]) -> None:
        """Call a function in a thread, with this object to report progress to."""
        if self.running:
            raise UsageError("the last run has not ended yet")
        self.running = True
        self._stopped.clear()
        create_worker(self._run, function, _start_thread=True)

    def stop(self) -> None:
        """Ask the function to stop; it does at its next report or check."""
        self._stopped.set()

    # -- in the thread ---------------------------------------------------------------------------
    def report(self, progress: object) -> None:
        """Emit progress, then check for a stop."""
        self.progressed.emit(progress)
        self.raise_if_stopped()

    def raise_if_stopped(self) -> None:
        """Raise `Stopped` if a stop was asked for.

        Raises
        ------
        Stopped
            After `stop`.
        """
        if self._stopped.is_set():
            raise Stopped

    def _run(self, function: Callable[[Worker], Any]) -> None:
        try:
            with _forward_log(self.progressed.emit):
                result = function(self)
        except Stopped:
            self._ended.emit(None, None)
        except Exception as error:  # any error is shown
            self._ended.emit(None, error)
        else:
            self._ended.emit((result,), None)

    # -- in the thread of the GUI ----------------------------------------------------------------
    def _end(self, result: tuple[Any] | None, error: Exception | None) -> None:
        self.running = False
        if error is not None:
            self.failed.emit(notify_error(error))
        if result is not None:
            self.finished.emit(result[0])
        self.closed.emit()


def notify_error(error: Exception) -> str:
    """Show an error as a notification and return its message; unexpected errors are logged too."""
    if isinstance(error, DataError | UsageError):
        show_error(str(error))
        return str(error)
    log.error("%s", error, exc_info=error)
    notification_manager.receive_error(type(error), error, error.__traceback__)
    return f"{type(error).__name__}: {error}"


@contextmanager
def _forward_log(emit: Callable[[object], object]) -> Iterator[None]:
    """Forward the log messages of this thread."""
    handler = _Handler(emit)
    if log.getEffectiveLevel() > logging.INFO:
        log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, forward: Callable[[object], object]) -> None:
        super().__init__(logging.INFO)
        self.forward, self.thread = forward, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.forward(record.getMessage())
