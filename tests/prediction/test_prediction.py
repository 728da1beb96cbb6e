"""A net on an image of any size gives the same maps however it gets there."""

from __future__ import annotations

import logging
import sys
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from embedseg.common import Stopped
from embedseg.geometry.grid import coordinates
from embedseg.nets import available_memory, is_out_of_memory, pixels_that_fit, resolve_device
from embedseg.nets.memory import OVERHEAD, Tracker
from embedseg.prediction import PredictOptions, pixels_seen, predict, predict_planes
from embedseg.types import DataError, MapSpec, Spacing, UsageError
from strategies import shapes

CPU = torch.device("cpu")


def specs(ndim: int, average: str = "raw") -> tuple[MapSpec, ...]:
    return (
        MapSpec("offset", "vector", ndim, "tanh", average=average),  # type: ignore[arg-type]
        MapSpec("bandwidth", "extent", ndim, "none"),
        MapSpec("seed", "scalar", 1, "sigmoid", average=average),  # type: ignore[arg-type]
    )


class Pooling(nn.Module):
    """Shrinks by the divisor, convolves, enlarges: a step of the image shows `divisor` px around.

    Where tiles begin matters, as in a real net. Receptive field: two divisors.
    """

    def __init__(self, divisor: tuple[int, ...], channels: int = 1) -> None:
        super().__init__()
        self.divisor = divisor
        ndim = len(divisor)
        conv, up = {2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}[ndim]
        self.down = conv(channels, 4, divisor, stride=divisor)
        self.conv = conv(4, 4, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.up = up(4, 2 * ndim + 1, divisor, stride=divisor)
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, image: Tensor) -> Tensor:
        assert not any(n % d for n, d in zip(image.shape[2:], self.divisor, strict=True))
        self.sizes.append(tuple(image.shape[2:]))
        hidden: Tensor = self.drop(torch.tanh(self.conv(torch.tanh(self.down(image)))))
        return torch.as_tensor(self.up(hidden))


class Limited(Pooling):
    """Runs out of memory above a number of pixels."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__((4, 4))
        self.limit, self.error = limit, error

    def forward(self, image: Tensor) -> Tensor:
        if prod(image.shape[2:]) > self.limit:
            raise self.error
        return super().forward(image)


class ToPeak(nn.Module):
    """Knows the truth: vectors to the brightest pixel, distances along the axes, brightness."""

    def __init__(self, ndim: int) -> None:
        super().__init__()
        self.divisor = (1,) * ndim

    def forward(self, image: Tensor) -> Tensor:
        peak = torch.stack(torch.unravel_index(image[0, 0].argmax(), image.shape[2:]))
        grid = torch.from_numpy(coordinates(tuple(image.shape[2:]), (1.0,) * len(peak)))
        vectors = (peak.reshape(-1, *[1] * len(peak)) - grid) / 10
        return torch.cat([vectors, vectors.abs(), image[0]])[None]


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


@settings(max_examples=20)
@given(shape=shapes(max_side=30), data=st.data())
def test_tiled_is_untiled(shape: tuple[int, ...], data: st.DataObject) -> None:
    ndim = len(shape)
    divisor = tuple(data.draw(st.sampled_from([1, 2, 4])) for _ in shape)
    halo = tuple(2 * d for d in divisor)
    tile = tuple(2 * h + data.draw(st.integers(6, 20)) for h in halo)
    tta = data.draw(st.booleans())
    net, image = Pooling(divisor), picture(1, *shape)
    whole, tiled = (
        predict(
            net,
            image,
            specs=specs(ndim),
            spacing=(1.0,) * ndim,
            options=PredictOptions(tile=size, halo=halo, tta=tta),
        )
        for size in (None, tile)
    )
    assert whole.shape == shape and whole.data.dtype == np.float16
    np.testing.assert_allclose(tiled.data, whole.data, atol=2e-3)


@settings(max_examples=20)
@given(shape=shapes(max_side=30), data=st.data())
def test_maps_of_a_box_are_those_of_the_image_for_less(
    shape: tuple[int, ...], data: st.DataObject
) -> None:
    ndim = len(shape)
    divisor = tuple(data.draw(st.sampled_from([1, 2, 4])) for _ in shape)
    halo = tuple(2 * d for d in divisor)
    keep = tuple(
        slice(
            start := d * data.draw(st.integers(0, (n - 1) // d)),
            data.draw(st.integers(start + 1, n)),
        )
        for n, d in zip(shape, divisor, strict=True)
    )
    tile = tuple(2 * h + data.draw(st.integers(6, 20)) for h in halo)
    options = PredictOptions(tile=data.draw(st.sampled_from([None, tile])), halo=halo)
    net, image = Pooling(divisor), picture(1, *shape)
    whole, part = (
        predict(net, image, specs=specs(ndim), spacing=(1.0,) * ndim, options=options, keep=box)
        for box in (None, keep)
    )
    np.testing.assert_allclose(part.data, whole.data[(slice(None), *keep)], atol=2e-3)
    net.sizes.clear()
    predict(net, image, specs=specs(ndim), spacing=(1.0,) * ndim, options=options, keep=keep)
    seen = sum(map(prod, net.sizes))
    assert seen == pixels_seen(net, 1, shape, keep, options, CPU)
    assert seen <= pixels_seen(net, 1, shape, tuple(slice(0, n) for n in shape), options, CPU)


def test_tiles_are_as_small_as_asked_for() -> None:
    net = Pooling((4, 4))
    predict(
        net,
        picture(1, 100, 90),
        specs=specs(2),
        spacing=(1.0, 1.0),
        options=PredictOptions(tile=(32, 48), halo=8),
    )
    assert max(net.sizes) == (32, 48) and len(net.sizes) == 7 * 3


def test_a_net_without_memory_of_position_needs_its_halo() -> None:
    """The comparison above can fail: without a halo, seams show."""
    net, image = Pooling((2, 2)), picture(1, 32, 32)
    whole, tiled = (
        predict(
            net,
            image,
            specs=specs(2),
            spacing=(1.0, 1.0),
            options=PredictOptions(tile=tile, halo=0),
        )
        for tile in (None, (8, 8))
    )
    assert np.abs(tiled.data - whole.data).max() > 0.01


def test_maps_equal_the_net() -> None:
    net, image = Pooling((4, 4), channels=3), picture(3, 16, 24)
    maps = predict(net, image, specs=specs(2), spacing=(0.5, 0.5))
    with torch.no_grad():
        expected = net.eval()(torch.from_numpy(image)[None])[0].numpy()
    assert np.array_equal(maps.data, expected.astype(np.float16))
    assert maps.spacing == (0.5, 0.5) and maps.specs == specs(2)


def test_values_beyond_float16_stay_finite() -> None:
    net = nn.Conv2d(1, 1, 1)
    net.divisor = (1, 1)  # type: ignore[assignment]
    image = np.full((1, 3, 3), 1e30, np.float32)
    maps = predict(net, image, specs=(MapSpec("a", "scalar", 1, "none"),), spacing=(1.0, 1.0))
    assert np.isfinite(maps.data).all()


@pytest.mark.parametrize(
    ("ndim", "spacing"),
    [
        (2, (1.0, 1.0)),
        (2, (2.0, 1.0)),
        (3, (2.0, 1.0, 1.0)),
        (3, (1.0, 2.0, 3.0)),
    ],
)
@pytest.mark.parametrize("average", ["raw", "activated"])
def test_symmetries_agree_where_the_net_is_right(ndim: int, spacing: Spacing, average: str) -> None:
    image = np.abs(picture(1, *(7, 8, 9)[:ndim]))
    plain, averaged = (
        predict(
            ToPeak(ndim),
            image,
            specs=specs(ndim, average),
            spacing=spacing,
            options=PredictOptions(tta=tta),
        )
        for tta in (False, True)
    )
    np.testing.assert_allclose(averaged.data, plain.data, atol=2e-3)


@pytest.mark.parametrize(
    ("average", "expected"),
    [
        ("raw", 1.0),  # (-1 + 3) / 2
        ("activated", 0.45),  # logit of (sigmoid(-1) + sigmoid(3)) / 2 = (0.2689 + 0.9526) / 2
    ],
)
def test_symmetries_average_what_differs(average: str, expected: float) -> None:
    class Column(nn.Module):
        divisor = (1, 1)

        def forward(self, image: Tensor) -> Tensor:
            return torch.tensor([-1.0, 3.0]).expand(1, 1, 2, 2)

    spec = MapSpec("seed", "scalar", 1, "sigmoid", average=average)  # type: ignore[arg-type]
    maps = predict(
        Column(),
        np.zeros((1, 2, 2), np.float32),
        specs=(spec,),
        spacing=(1.0, 1.0),
        options=PredictOptions(tta=True),
    )
    np.testing.assert_allclose(maps.data, expected, atol=1e-2)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_tiles_are_halved_when_memory_runs_out(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    net, image = Limited(1200, error), picture(1, 61, 90)
    options = PredictOptions(halo=8)
    with caplog.at_level(logging.WARNING, "embedseg"):
        found = predict(net, image, specs=specs(2), spacing=(1.0, 1.0), options=options)
    assert max(prod(size) for size in net.sizes) <= 1200
    assert 1 < len(net.sizes) < 60
    assert "out of memory on cpu with a tile of (64, 92)" in caplog.text
    net.limit = 10**6
    whole = predict(net, image, specs=specs(2), spacing=(1.0, 1.0), options=options)
    np.testing.assert_allclose(found.data, whole.data, atol=2e-3)


def test_memory_that_no_tile_fits_into_is_said() -> None:
    net = Limited(30, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(UsageError, match=r"out of memory on cpu .* halo"):
        predict(
            net,
            picture(1, 40, 40),
            specs=specs(2),
            spacing=(1.0, 1.0),
            options=PredictOptions(halo=4),
        )


def test_other_errors_come_through() -> None:
    net = Limited(30, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1"):
        predict(net, picture(1, 40, 40), specs=specs(2), spacing=(1.0, 1.0))


def test_every_module_gets_its_mode_back() -> None:
    net = Pooling((2, 2)).train()
    net.conv.eval()
    predict(net, picture(1, 8, 8), specs=specs(2), spacing=(1.0, 1.0))
    assert net.training and net.drop.training and not net.conv.training


def test_a_small_budget_makes_tiles_that_keep_to_it() -> None:
    net, image = Pooling((4, 4)).eval(), picture(1, 400, 400)
    gigabytes = 1e-3
    fitting = pixels_that_fit(net, 1, (4, 4), CPU, gigabytes * 1e9)
    net.sizes.clear()
    predict(
        net,
        image,
        specs=specs(2),
        spacing=(1.0, 1.0),
        options=PredictOptions(memory=gigabytes, halo=8),
    )
    assert len(net.sizes) > 4
    assert fitting / 8 < max(prod(size) for size in net.sizes[1:]) <= fitting


def test_pixels_that_fit_follow_the_layers() -> None:
    net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1)).eval()
    # Image, 8 + 8 channels alive at once, 4 bytes each; the last layer puts out less than it frees.
    fitting = pixels_that_fit(net, 1, (2, 2), CPU, memory=68e6 * OVERHEAD)
    assert fitting == pytest.approx(1e6)
    # Kernels index 8 channels with 32 bits.
    assert pixels_that_fit(net, 1, (2, 2), CPU, memory=1e15) == (2**31 - 1) / 8


def test_a_tracker_counts_what_lives() -> None:
    with Tracker() as tracker:
        kept = torch.zeros(100)
        _ = kept[:50] + 1
        del _
        view = kept.view(10, 10)
        _ = view + 1
    assert (tracker.peak, tracker.largest) == (800, 100)
    with Tracker() as tracker:
        x = torch.ones(1000, requires_grad=True)
        ((x * 2).exp().sum()).backward()
    # Values, doubled, exponential; the first two go once the third is there, but for what
    # the backward pass needs.
    assert 12_000 <= tracker.peak <= 16_100


def test_planes_average_a_field_that_they_see_in_part() -> None:
    class Field(nn.Module):
        """The image holds 3D coordinates; a plane's net cannot know which plane it sees.

        Its vectors point by 0.1 along the first axis of the plane, 0.3 along the second.
        """

        divisor = (1, 1)

        def forward(self, image: Tensor) -> Tensor:
            ones = torch.ones_like(image[0, :1])
            return torch.cat([0.1 * ones, 0.3 * ones, ones, 3 * ones, image[0, :1]])[None]

    volume = picture(1, 4, 5, 6)
    maps = predict_planes(
        Field(), volume, specs=specs(2), volume_specs=specs(3), spacing=(1.0, 1.0, 1.0)
    )
    assert maps.specs == specs(3) and maps.shape == (4, 5, 6)
    # Z is first in both planes that show it; Y first in YX, second in ZY; X second in both.
    np.testing.assert_allclose(maps.raw("offset").mean((1, 2, 3)), [0.1, 0.2, 0.3], atol=1e-3)
    np.testing.assert_allclose(maps.raw("bandwidth").mean((1, 2, 3)), [1, 2, 3], atol=1e-3)
    np.testing.assert_allclose(maps.raw("seed"), volume, atol=2e-3)


def test_planes_in_one_direction_show_scalars_only() -> None:
    class Copy(nn.Module):
        divisor = (1, 1)

        def forward(self, image: Tensor) -> Tensor:
            return image

    volume, seed = picture(1, 4, 5, 6), specs(3)[-1:]
    maps = predict_planes(
        Copy(), volume, specs=seed, volume_specs=seed, directions=(0,), spacing=(4.0, 1.0, 1.0)
    )
    assert maps.spacing == (4.0, 1.0, 1.0)
    np.testing.assert_allclose(maps.raw("seed"), volume, atol=2e-3)
    with pytest.raises(UsageError, match=r"axes \(0,\) do not show all components"):
        predict_planes(
            ToPeak(2),
            volume,
            specs=specs(2),
            volume_specs=specs(3),
            directions=(0,),
            spacing=(4.0, 1.0, 1.0),
        )


@pytest.mark.parametrize("tta", [False, True])
def test_planes_through_the_peak_point_at_it(tta: bool) -> None:
    place = np.array([2, 3, 1])
    distance = coordinates((5, 6, 7), (1.0, 1.0, 1.0)) - place.reshape(3, 1, 1, 1)
    # Separable, so the brightest pixel of any plane lies where the plane is nearest the peak.
    volume = np.exp(-(distance**2).sum(axis=0) / 50)[None].astype(np.float32)
    maps = predict_planes(
        ToPeak(2),
        volume,
        specs=specs(2, "activated"),
        volume_specs=specs(3, "activated"),
        spacing=(1.0, 1.0, 1.0),
        options=PredictOptions(tta=tta),
    )
    np.testing.assert_allclose(maps.raw("offset"), -distance / 10, atol=2e-3)
    np.testing.assert_allclose(maps.raw("bandwidth"), np.abs(distance) / 10, atol=2e-3)
    np.testing.assert_allclose(maps.raw("seed"), volume, atol=2e-3)


def test_a_bar_counts_tiles_and_symmetries(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    options = PredictOptions(tile=(16, 16), halo=4, tta=True)
    for progress in (False, True):
        predict(
            Pooling((4, 4)),
            picture(1, 16, 32),
            specs=specs(2),
            spacing=(1.0, 1.0),
            options=options,
            progress=progress,
        )
        assert ("/32" in capsys.readouterr().err) == progress


def test_tiles_and_planes_are_told_and_may_be_the_last() -> None:
    told: list[tuple[int, int]] = []

    def tell(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 3:
            raise Stopped

    net, options = Pooling((4, 4)), PredictOptions(tile=(16, 16), halo=4)
    with pytest.raises(Stopped):
        predict(
            net,
            picture(1, 16, 32),
            specs=specs(2),
            spacing=(1.0, 1.0),
            options=options,
            progress=tell,
        )
    assert told == [(0, 4), (1, 4), (2, 4)] and len(net.sizes) == 2
    assert net.training  # as it was
    told.clear()
    with pytest.raises(Stopped):
        predict_planes(
            net,
            picture(1, 8, 8, 8),
            specs=specs(2),
            volume_specs=specs(3),
            spacing=(1.0,) * 3,
            progress=tell,
        )
    assert told == [(1, 24), (2, 24), (3, 24)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tile": (8, 8), "halo": 4}, r"tile \(8, 8\) must exceed twice the halo \(4, 4\)"),
        ({"tile": (8, 8, 8)}, r"tile \(8, 8, 8\) has 3 values, expected 2"),
        ({"halo": (8,)}, r"halo \(8,\) has 1 values, expected 2"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        predict(
            Pooling((2, 2)),
            picture(1, 40, 40),
            specs=specs(2),
            spacing=(1.0, 1.0),
            options=PredictOptions.model_validate(options),
        )


def test_options_are_checked() -> None:
    for wrong in ({"memory": 0}, {"tile": (0, 8)}, {"halo": -1}, {"tiles": (8, 8)}):
        with pytest.raises(ValidationError):
            PredictOptions.model_validate(wrong)


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(DataError, match=r"\(40, 40\) does not fit spacing \(1.0, 1.0\)"):
        predict(Pooling((2, 2)), picture(40, 40), specs=specs(2), spacing=(1.0, 1.0))
    with pytest.raises(DataError, match=r"\(1, 40, 40\).*\(C, Z, Y, X\)"):
        predict_planes(
            Pooling((2, 2)),
            picture(1, 40, 40),
            specs=specs(2),
            volume_specs=specs(3),
            spacing=(1.0, 1.0),
        )
    with pytest.raises(ValueError, match="puts out 5 channels, expected 7"):
        predict(Pooling((2, 2)), picture(1, 8, 8), specs=specs(3), spacing=(1.0, 1.0))


def test_devices() -> None:
    assert resolve_device("auto").type in {"cpu", "cuda", "mps"}
    with pytest.raises(UsageError, match="'gpu' is unknown"):
        resolve_device("gpu")
    with pytest.raises(UsageError, match=r"'cuda:99' was not found; available: cpu"):
        resolve_device("cuda:99")
    with pytest.raises(UsageError, match="'meta' was not found"):
        resolve_device("meta")


def test_memory_is_no_more_than_the_machine_has() -> None:
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        pytest.skip("needs Linux")
    total = int(meminfo.read_text().split()[1]) * 1024
    assert 0 < available_memory(CPU) <= total
    assert is_out_of_memory(MemoryError()) and not is_out_of_memory(ValueError("out of memory"))


@pytest.mark.gpu
def test_cuda_equals_cpu() -> None:
    net, image = Pooling((4, 4)), picture(1, 300, 500)
    expected = predict(net, image, specs=specs(2), spacing=(1.0, 1.0))
    device = resolve_device("cuda")
    for tile in (None, (96, 128)):
        found = predict(
            net.to(device),
            image,
            specs=specs(2),
            spacing=(1.0, 1.0),
            options=PredictOptions(tile=tile, halo=8),
            device=device,
        )
        np.testing.assert_allclose(found.data, expected.data, atol=5e-3)
    assert 0 < available_memory(device)


def test_says_where_the_net_puts_out_no_numbers(caplog):
    class Broken(nn.Module):
        divisor = (1, 1)

        def forward(self, image):
            return torch.where(image > 0, torch.nan, image)

    image = np.zeros((1, 6, 7), np.float32)
    image[0, 2, 3:5] = 1
    specs = (MapSpec("seed", "scalar", 1, "sigmoid"),)
    maps = predict(Broken(), image, specs=specs, spacing=(1.0, 1.0))
    assert np.isnan(maps.data[0, 2, 3:5]).all()
    assert "NaN or infinity at 2 of 42 pixels" in caplog.text
