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


class Work(QObject):
    """Work of a widget, one piece at a time; it is stopped with the widget.

    Signals: `told` brings what the work tells; `done` its result; `failed` an error in words, which
    is shown as a notification too; `ended` comes last, however it ended.
    """

    told = Signal(object)
    done = Signal(object)
    failed = Signal(str)
    ended = Signal()
    _over = Signal(object, object)

    def __init__(self, owner: QWidget) -> None:
        super().__init__()
        self.running = False
        self._stopped = threading.Event()
        self._over.connect(self._end)
        # Not a method of this object: it may be gone by then.
        owner.destroyed.connect(self._stopped.set)
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._stopped.set)

    def start(self, function: Callable[[Work], Any]) -> None:
        """Call a function in a thread; it gets this object to tell what happens."""
        if self.running:
            raise UsageError("the last piece of work has not ended yet")
        self.running = True
        self._stopped.clear()
        create_worker(self._run, function, _start_thread=True)

    def stop(self) -> None:
        """Ask the work to stop; it does when it next tells or checks something."""
        self._stopped.set()

    # -- in the thread ---------------------------------------------------------------------------
    def tell(self, news: object) -> None:
        """Bring news; then stop if that was asked for."""
        self.told.emit(news)
        self.check()

    def check(self) -> None:
        """Stop if that was asked for.

        Raises
        ------
        Stopped
            To get out of the work.
        """
        if self._stopped.is_set():
            raise Stopped

    def _run(self, function: Callable[[Work], Any]) -> None:
        try:
            with _log_told(self.told.emit):
                result = function(self)
        except Stopped:
            self._over.emit(None, None)
        except Exception as error:  # it is shown, whatever it is
            self._over.emit(None, error)
        else:
            self._over.emit((result,), None)

    # -- in the thread of the GUI ----------------------------------------------------------------
    def _end(self, result: tuple[Any] | None, error: Exception | None) -> None:
        self.running = False
        if error is not None:
            self.failed.emit(report(error))
        if result is not None:
            self.done.emit(result[0])
        self.ended.emit()


def report(error: Exception) -> str:
    """Show an error as a notification and return it in words; ours are for the user as they are."""
    if isinstance(error, DataError | UsageError):
        show_error(str(error))
        return str(error)
    log.error("%s", error, exc_info=error)
    notification_manager.receive_error(type(error), error, error.__traceback__)
    return f"{type(error).__name__}: {error}"


@contextmanager
def _log_told(tell: Callable[[object], object]) -> Iterator[None]:
    """Tell what this thread logs."""
    handler = _Handler(tell)
    if log.getEffectiveLevel() > logging.INFO:
        log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, tell: Callable[[object], object]) -> None:
        super().__init__(logging.INFO)
        self.tell, self.thread = tell, threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.tell(record.getMessage())
