"""Controls of decode options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo
from qtpy.QtCore import QObject, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from embedseg.methods import Method
from embedseg.napari._forms import add_row, shrinkable

#: Where an option has no upper bound, its slider ends at so many times the largest value to try.
ROOM = 4
#: Smallest step of a fractional option.
STEP = 0.01


class Range(NamedTuple):
    """From where to where a slider goes, and whether it takes whole numbers."""

    low: float
    high: float
    whole: bool


def range_of(field: FieldInfo, values: Sequence[Any], value: Any) -> Range:
    """Return the range of a numeric option: its bounds, as far as there are, else its values.

    Parameters
    ----------
    field : FieldInfo
        The option.
    values : sequence
        What may be tried; None is passed over.
    value : int, float or None
        What it is.
    """
    numbers = [each for each in (*values, value) if each is not None]
    whole = all(isinstance(each, int) for each in numbers)
    step = 1 if whole else STEP
    bounds = {type(each).__name__: each for each in field.metadata}
    low, high = min(numbers), max(ROOM * max(numbers), 10 * step)
    if "Ge" in bounds or "Gt" in bounds:
        low = bounds["Ge"].ge if "Ge" in bounds else bounds["Gt"].gt + step
    if "Le" in bounds or "Lt" in bounds:
        high = bounds["Le"].le if "Le" in bounds else bounds["Lt"].lt - step
    return Range(low, high, whole)


class Control(QWidget):
    """What sets one option; `changed` comes when a person did."""

    changed = Signal()

    def __init__(self, field: FieldInfo, values: Sequence[Any], value: Any) -> None:
        super().__init__()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # Qt's containers are false where they are empty: `is not None` throughout.
        self.switch = QCheckBox() if None in values else None
        if self.switch is not None:
            self.switch.setToolTip("whether it is done at all")
            self.switch.toggled.connect(self._switched)
            layout.addWidget(self.switch)
        self.choice = QComboBox() if any(isinstance(each, str) for each in values) else None
        self.slider: Any = None
        if self.choice is not None:
            shrinkable(self.choice)
            self.choice.addItems([str(each) for each in values])
            self.choice.currentTextChanged.connect(self._moved)
        else:
            self.slider = _slider(range_of(field, values, value))
            self.slider.valueChanged.connect(self._moved)
        self.field: QWidget = self.slider if self.choice is None else self.choice
        layout.addWidget(self.field)
        first = next((each for each in values if each is not None), value)
        self.set_value(first if value is None else value)
        self.set_value(value)

    def value(self) -> Any:
        """Return the option's value."""
        if self.switch is not None and not self.switch.isChecked():
            return None
        if self.choice is not None:
            return self.choice.currentText()
        value = self.slider.value()
        return value if isinstance(value, int) else round(value, 4)

    def set_value(self, value: Any) -> None:
        """Show a value, as if nobody had moved anything."""
        with QSignalBlocker(self):
            if self.switch is not None:
                self.switch.setChecked(value is not None)
                self._switched(value is not None)
            if value is not None and self.choice is not None:
                self.choice.setCurrentText(value)
            elif value is not None:
                self.slider.setValue(value)

    def _switched(self, on: bool) -> None:
        self.field.setEnabled(on)
        self._moved()

    def _moved(self, value: object = None) -> None:
        self.changed.emit()


def _slider(limits: Range) -> Any:
    slider = (QLabeledSlider if limits.whole else QLabeledDoubleSlider)(Qt.Orientation.Horizontal)
    slider.setRange(limits.low, limits.high)
    slider.setMinimumWidth(90)
    if not limits.whole:
        slider.setDecimals(2)
        slider.setSingleStep(STEP)
    return slider


class Controls(QObject):
    """The decode options of a method; `changed` comes when a person changed one."""

    changed = Signal()

    def __init__(self, form: QFormLayout) -> None:
        super().__init__()
        self.form = form
        self.controls: dict[str, Control] = {}
        self._start: dict[str, Any] = {}

    def clear(self) -> None:
        """Take the controls away."""
        while self.form.rowCount():
            self.form.removeRow(0)
        self.controls, self._start = {}, {}

    def show_method(self, method: Method) -> None:
        """Make the controls of a method, in place of those of the last."""
        self.clear()
        for name, values in method.adjustable().items():
            field, value = type(method).model_fields[name], getattr(method, name)
            control = Control(field, values, value)
            control.changed.connect(self.changed)
            add_row(self.form, name.replace("_", " "), control, field.description or name)
            self.controls[name], self._start[name] = control, value

    def settings(self) -> dict[str, Any]:
        """Return what differs from the method, by dotted names of a configuration."""
        found = {name: control.value() for name, control in self.controls.items()}
        return {
            f"method.{name}": value
            for name, value in found.items()
            if not _same(value, self._start[name])
        }

    def reset(self) -> None:
        """Go back to what the method has."""
        moved = bool(self.settings())
        for name, control in self.controls.items():
            control.set_value(self._start[name])
        if moved:
            self.changed.emit()


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same to what a slider shows."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < STEP / 2
    return bool(one == other)
