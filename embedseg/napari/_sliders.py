"""Controls of decode options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo
from qtpy.QtCore import QObject, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QHBoxLayout, QWidget
from superqt import QLabeledDoubleSlider, QLabeledSlider

from embedseg.methods import Method
from embedseg.napari._forms import add_row, make_shrinkable

#: Without an upper bound, a slider ends at this multiple of the largest value to try.
HEADROOM = 4
#: A bound farther away than this multiple of that end only keeps nonsense out.
FAR = 100
#: Smallest step of a fractional option.
STEP = 0.01


class SliderRange(NamedTuple):
    """Range of a slider, and whether it takes whole numbers."""

    low: float
    high: float
    whole: bool


def find_range(field: FieldInfo, values: Sequence[Any], value: Any) -> SliderRange:
    """Return the range of a numeric option: from bounds that are near, else from its values.

    Parameters
    ----------
    field : FieldInfo
        The option.
    values : sequence
        Values to try; None is skipped.
    value : int, float or None
        Present value.
    """
    numbers = [each for each in (*values, value) if each is not None]
    whole = all(isinstance(each, int) for each in numbers)
    step = 1 if whole else STEP
    bounds = {type(each).__name__: each for each in field.metadata}
    low, high = min(numbers), max(HEADROOM * max(numbers), 10 * step)
    if "Ge" in bounds or "Gt" in bounds:
        low = bounds["Ge"].ge if "Ge" in bounds else bounds["Gt"].gt + step
    if "Le" in bounds or "Lt" in bounds:
        bound = bounds["Le"].le if "Le" in bounds else bounds["Lt"].lt - step
        high = bound if bound <= FAR * high else high
    return SliderRange(low, high, whole)


class OptionControl(QWidget):
    """Control of one option; `changed` is emitted when the user changes it."""

    changed = Signal()

    def __init__(self, field: FieldInfo, values: Sequence[Any], value: Any) -> None:
        super().__init__()
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        # Empty Qt containers are false, hence `is not None` throughout.
        self.switch = QCheckBox() if None in values else None
        if self.switch is not None:
            self.switch.setToolTip("switch this option on or off")
            self.switch.toggled.connect(self._switched)
            layout.addWidget(self.switch)
        self.choice = QComboBox() if any(isinstance(each, str) for each in values) else None
        self.slider: Any = None
        if self.choice is not None:
            make_shrinkable(self.choice)
            self.choice.addItems([str(each) for each in values])
            self.choice.currentTextChanged.connect(self._moved)
        else:
            self.slider = _make_slider(find_range(field, values, value))
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
        """Set the value without emitting `changed`."""
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


def _make_slider(limits: SliderRange) -> Any:
    slider = (QLabeledSlider if limits.whole else QLabeledDoubleSlider)(Qt.Orientation.Horizontal)
    slider.setRange(limits.low, limits.high)
    slider.setMinimumWidth(90)
    if not limits.whole:
        slider.setDecimals(2)
        slider.setSingleStep(STEP)
    return slider


class OptionControls(QObject):
    """Controls of the decode options of a method; `changed` is emitted on a user's change."""

    changed = Signal()

    def __init__(self, form: QFormLayout) -> None:
        super().__init__()
        self.form = form
        self.controls: dict[str, OptionControl] = {}
        self._start: dict[str, Any] = {}

    def clear(self) -> None:
        """Remove the controls."""
        while self.form.rowCount():
            self.form.removeRow(0)
        self.controls, self._start = {}, {}

    def show_method(self, method: Method) -> None:
        """Make the controls of a method, in place of the present ones."""
        self.clear()
        for name, values in method.adjustable().items():
            field, value = type(method).model_fields[name], getattr(method, name)
            control = OptionControl(field, values, value)
            control.changed.connect(self.changed)
            add_row(self.form, name.replace("_", " "), control, field.description or name)
            self.controls[name], self._start[name] = control, value

    def settings(self) -> dict[str, Any]:
        """Return the changed options, by their dotted names in a configuration."""
        values = {name: control.value() for name, control in self.controls.items()}
        return {
            f"method.{name}": value
            for name, value in values.items()
            if not _equal(value, self._start[name])
        }

    def reset(self) -> None:
        """Reset all options to those of the method."""
        changed = bool(self.settings())
        for name, control in self.controls.items():
            control.set_value(self._start[name])
        if changed:
            self.changed.emit()


def _equal(one: Any, other: Any) -> bool:
    """Return whether two values are equal within half a step of a slider."""
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < STEP / 2
    return bool(one == other)
