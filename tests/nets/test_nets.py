"""What every net has to keep, and how strides follow the spacing."""

from __future__ import annotations

import json
from pathlib import Path

import onnxruntime
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st
from pydantic import ValidationError
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from embedseg.nets import NETS, Net, NetOptions, fused_for_inference, net_options
from embedseg.nets.layers import axis_kernels, axis_strides, product, up
from embedseg.types import UsageError

CROPS = {2: (32, 48), 3: (8, 16, 32)}
SMALL = {
    "erfnet": {"type": "erfnet", "width": 0.25},
    "unet": {"type": "unet", "width": 4, "depth": 2},
    "unet-stem": {"type": "unet", "width": 4, "depth": 2, "stem": 2},
    "unet-light": {"type": "unet", "width": 4, "depth": 2, "stem": 2, "light": True},
    "unet2d3d": {"type": "unet2d3d", "width": 4, "flat": 1, "depth": 2, "stem": 1},
    "unetpp": {"type": "unetpp", "width": 4, "depth": 2},
    "unetpp-deep": {"type": "unetpp", "width": 4, "depth": 3, "deep": True, "norm": "group"},
    "cenet": {"type": "cenet", "width": 4, "depth": 3},
    "unet-shared": {"type": "unet", "width": 4, "depth": 1, "branched": False, "norm": "group"},
}


def small_net(name: str, ndim: int, channels: int = 1, spacing: tuple[float, ...] = ()) -> Net:
    torch.manual_seed(0)
    return net_options(SMALL[name]).build(
        ndim, channels, (2 * ndim, 1), spacing or (1.0,) * ndim, CROPS[ndim]
    )


def assert_near(found: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    assert float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())


both = pytest.mark.parametrize("ndim", [2, 3])
cases = pytest.mark.parametrize(
    ("name", "ndim"),
    [(name, ndim) for name, options in SMALL.items() for ndim in net_options(options).ndims],
)
every = pytest.mark.parametrize("name", SMALL)


def test_every_net_is_tried_here() -> None:
    assert {SMALL[name]["type"] for name in SMALL} == set(NETS)


# -- the contract of a net -------------------------------------------------------------------------
@cases
def test_one_value_per_pixel_and_map(name: str, ndim: int) -> None:
    # Five channels are more than the first layers are wide.
    net = small_net(name, ndim, channels=5)
    space = tuple(2 * d for d in net.divisor)
    out = net(torch.randn(2, 5, *space))
    assert out.shape == (2, 2 * ndim + 1, *space)
    out.square().mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


@cases
@pytest.mark.parametrize("half", [False, True])
def test_zero_weights_put_out_the_bias_exactly(name: str, ndim: int, half: bool) -> None:
    net = small_net(name, ndim)
    biases = torch.arange(1, 2 * ndim + 2) * 0.1
    with torch.no_grad():
        for layer, bias in zip(net.outputs, biases.split([2 * ndim, 1]), strict=True):
            layer.weight.zero_()
            layer.bias.copy_(bias)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            out = net(torch.randn(1, 1, *CROPS[ndim]))
    assert torch.equal(out, biases.reshape(1, -1, *(1,) * ndim).expand_as(out))


@cases
def test_sizes_off_the_divisor_are_refused(name: str, ndim: int) -> None:
    net = small_net(name, ndim)
    space = [*net.divisor]
    space[-1] += 1
    message = rf"sizes .*{space[-1]}\).* divisor \({', '.join(map(str, net.divisor))}\)"
    with pytest.raises(ValueError, match=message):
        net(torch.zeros(1, 1, *space))
    with pytest.raises(ValueError, match="multiples"):
        net(torch.zeros(1, *net.divisor))


@cases
def test_eval_repeats_and_batch_members_are_apart(name: str, ndim: int) -> None:
    net = small_net(name, ndim).eval()
    images = torch.randn(2, 1, *CROPS[ndim])
    with torch.inference_mode():
        together = net(images)
        assert_near(together[1:], net(images[1:]))
        assert torch.equal(together, net(images))


@cases
def test_a_net_for_predictions_alone_puts_out_the_same(name: str, ndim: int) -> None:
    net = small_net(name, ndim)
    net(torch.randn(4, 1, *CROPS[ndim]))  # statistics of their own
    net.eval()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    image = torch.randn(1, 1, *CROPS[ndim])
    with torch.no_grad():
        slim, given = fused_for_inference(net), image.clone()
        assert_near(slim(given), net(image), 1e-5)
    # In place is only what nobody else sees.
    assert torch.equal(given, image)
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
    norms = [sum(isinstance(layer, _BatchNorm) for layer in each.modules()) for each in (net, slim)]
    assert norms[1] < norms[0] or "group" in SMALL[name].values()


@both
@pytest.mark.parametrize("name", ["erfnet", "unet", "unet-stem", "unetpp"])
def test_shift_by_the_divisor_shifts_the_maps(name: str, ndim: int) -> None:
    # Tiles start at multiples of the divisor for this reason; the border is left out. It is
    # wide: an ERFNet sees some 600 pixels to each side. (Group norm sees everything.)
    net = small_net(name, ndim).eval()
    step, size = net.divisor[-1], 1344 if name == "erfnet" else 192
    image = torch.randn(1, 1, *net.divisor[:-1], size)
    with torch.inference_mode():
        here, there = net(image), net(image.roll(step, dims=-1)).roll(-step, dims=-1)
    far = slice(size // 2 - step, size // 2)
    assert_near(here[..., far], there[..., far])


@cases
def test_heads_do_not_share_their_last_layers(name: str, ndim: int) -> None:
    net = small_net(name, ndim)
    out = net(torch.randn(1, 1, *CROPS[ndim]))
    out[:, 2 * ndim].sum().backward()
    assert net.outputs[0].weight.grad.abs().sum() == 0
    assert net.outputs[1].weight.grad.abs().sum() > 0


@cases
def test_weights_start_at_a_sound_scale(name: str, ndim: int) -> None:
    net = small_net(name, ndim)
    out = net(torch.randn(2, 1, *CROPS[ndim]))
    assert 0.1 < float(out.detach().std()) < 10


@pytest.mark.parametrize("net", [{"type": "erfnet"}, {"type": "unet"}])
def test_memory_layout_and_half_precision_change_little(net: dict[str, object]) -> None:
    torch.manual_seed(0)
    built = net_options(net).build(2, 1, (4, 1), (1.0, 1.0), (32, 32)).eval()
    image = torch.randn(1, 1, 32, 32)
    with torch.inference_mode():
        plain = built(image)
        with torch.autocast("cpu", torch.bfloat16):
            half = built(image)
        last = built.to(memory_format=torch.channels_last)(image)
    assert half.dtype == torch.float32
    assert_near(last, plain)
    assert float((half - plain).abs().mean()) < 0.05 * float(plain.abs().mean())


@pytest.mark.parametrize("name", ["unet-stem", pytest.param("erfnet", marks=pytest.mark.slow)])
def test_forward_is_one_graph(name: str) -> None:
    net = small_net(name, 2).eval()
    compiled = torch.compile(net, backend="eager", fullgraph=True)
    image = torch.randn(1, 1, *CROPS[2])
    with torch.no_grad():
        assert_near(compiled(image), net(image))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@cases
def test_devices_agree(name: str, ndim: int) -> None:
    net, image = small_net(name, ndim).eval(), torch.randn(1, 1, *CROPS[ndim])
    with torch.inference_mode():
        here = net(image)
        there = net.cuda()(image.cuda()).cpu()  # architecture test looks at the package only
    assert_near(there, here, 1e-2)  # convolutions in TF32


# -- export ----------------------------------------------------------------------------------------
@cases
# Of torch's exporter about its own innards.
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning")
def test_onnx_computes_the_same_for_any_size(name: str, ndim: int, tmp_path: Path) -> None:
    net = small_net(name, ndim).eval()
    sizes = {
        axis: d * torch.export.Dim(f"n{axis}", min=1, max=64)
        if d > 1
        else torch.export.Dim(f"n{axis}", min=2, max=256)
        for axis, d in enumerate(net.divisor, 2)
    }
    program = torch.onnx.export(
        net,
        (torch.randn(2, 1, *CROPS[ndim]),),
        dynamo=True,
        verbose=False,
        dynamic_shapes=({0: torch.export.Dim("batch"), **sizes},),
    )
    assert program is not None
    program.save(str(tmp_path / "net.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    (given,) = session.get_inputs()
    for batch, factor in (1, 1), (2, 3):
        image = torch.randn(batch, 1, *(factor * n for n in CROPS[ndim]))
        (found,) = session.run(None, {given.name: image.numpy()})
        with torch.no_grad():
            assert_near(torch.from_numpy(found), net(image), 1e-3)


# -- the published size ----------------------------------------------------------------------------
@pytest.mark.parametrize(("ndim", "millions"), [(2, 2.25), (3, 3.69)])
def test_erfnet_has_the_published_size(ndim: int, millions: float) -> None:
    net = net_options({"type": "erfnet"}).build(ndim, 1, (2 * ndim, 1), (1.0,) * ndim, (64,) * ndim)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, rel=0.03)


def test_branches_and_stem_cost_what_they_should() -> None:
    def weights(**options: object) -> int:
        net = net_options({"type": "unet", **options}).build(2, 1, (4, 1), (1.0, 1.0), (64, 64))
        return sum(p.numel() for p in net.parameters())

    assert weights(branched=False) < weights() < weights(depth=4)


# -- strides follow spacing and crop ---------------------------------------------------------------
@pytest.mark.parametrize(
    ("spacing", "crop", "expected"),
    [
        ((1.0, 1.0), (64, 64), [(2, 2), (2, 2), (2, 2)]),
        # No axis is pooled to fewer than 4 samples, and a short one does not hold the others back.
        ((1.0, 1.0), (16, 64), [(2, 2), (2, 2), (1, 2)]),
        ((1.0, 1.0, 1.0), (4, 64, 64), [(1, 2, 2), (1, 2, 2), (1, 2, 2)]),
        # Four times as coarse: joins after one level; exactly twice: joins at once.
        ((4.0, 1.0, 1.0), (32, 64, 64), [(1, 2, 2), (2, 2, 2), (2, 2, 2)]),
        ((2.0, 1.0, 1.0), (32, 64, 64), [(2, 2, 2), (2, 2, 2), (2, 2, 2)]),
        ((9.0, 1.0, 1.0), (32, 64, 64), [(1, 2, 2), (1, 2, 2), (1, 2, 2)]),
    ],
)
def test_strides(spacing: tuple[float, ...], crop: tuple[int, ...], expected: object) -> None:
    assert axis_strides(spacing, crop, 3) == expected


def test_kernels_reach_along_a_coarse_axis_once_it_is_comparable() -> None:
    strides = axis_strides((4.0, 1.0, 1.0), (32, 64, 64), 2)
    assert axis_kernels((4.0, 1.0, 1.0), (32, 64, 64), strides) == [(1, 3, 3), (3, 3, 3), (3, 3, 3)]


def test_an_axis_out_of_samples_does_not_make_the_others_coarse() -> None:
    strides = axis_strides((1.0, 1.0, 1.0), (8, 16, 32), 3)
    assert strides == [(2, 2, 2), (1, 2, 2), (1, 1, 2)]
    assert axis_kernels((1.0, 1.0, 1.0), (8, 16, 32), strides) == [(3, 3, 3)] * 4


@given(
    st.lists(st.tuples(st.floats(0.05, 20), st.integers(1, 300)), min_size=2, max_size=3),
    st.integers(1, 5),
)
def test_strides_of_any_data(axes: list[tuple[float, int]], levels: int) -> None:
    spacing, crop = zip(*axes, strict=True)
    strides = axis_strides(spacing, crop, levels)
    total = product(strides, len(crop))
    assert all(t == 1 or n // t >= 4 for n, t in zip(crop, total, strict=True))
    # Some axis always sees its neighbours, at every resolution.
    assert all(3 in kernel for kernel in axis_kernels(spacing, crop, strides))
    assert axis_strides(tuple(3 * s for s in spacing), crop, levels) == strides


@every
def test_anisotropic_volume(name: str) -> None:
    net = small_net(name, 3, spacing=(4.0, 1.0, 1.0))
    assert net.divisor[0] < net.divisor[1]
    assert net(torch.randn(1, 1, *CROPS[3])).shape == (1, 7, *CROPS[3])


@settings(max_examples=30)
@given(st.sampled_from([*SMALL]), st.lists(st.integers(4, 200), min_size=2, max_size=3))
def test_fitting_crops_fit(name: str, crop: list[int]) -> None:
    options, spacing = net_options(SMALL[name]), (1.0,) * len(crop)
    assume(len(crop) in options.ndims)
    fitting = options.fit_crop(crop, spacing)
    divisor = options.divisor(spacing, fitting)
    assert all(n % d == 0 for n, d in zip(fitting, divisor, strict=True))
    assert all(0 <= f - n < 2 * d for f, n, d in zip(fitting, crop, divisor, strict=True))
    assert options.fit_crop(fitting, spacing) == fitting


def test_up_without_overlap_does_not_mix_pixels() -> None:
    layer = up(2, 1, 1, (2, 2))
    image = torch.zeros(1, 1, 3, 3)
    image[0, 0, 1, 1] = 1
    touched = (layer(image) - layer(torch.zeros_like(image)))[0, 0].abs() > 0
    assert touched.nonzero().tolist() == [[2, 2], [2, 3], [3, 2], [3, 3]]


# -- planes at fine levels, volumes at coarse ones -------------------------------------------------
@pytest.mark.parametrize(
    ("spacing", "expected"),
    [
        ((2.0, 1.0, 1.0), [(1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 1, 1)]),
        ((10.0, 1.0, 1.0), [(1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2)]),
    ],
)
def test_hybrid_pools_planes_before_volumes(spacing: tuple[float, ...], expected: object) -> None:
    options = net_options({"type": "unet2d3d"})
    assert options.strides(spacing, (16, 64, 64)) == expected
    net = options.build(3, 1, (2,), spacing, (16, 64, 64))
    kernels = [layer.kernel_size for layer in net.encoder.modules() if isinstance(layer, nn.Conv3d)]
    assert kernels == [(1, 3, 3)] * 4 + [(3, 3, 3)] * 4


def test_fine_levels_of_the_hybrid_do_not_look_at_other_planes() -> None:
    net = small_net("unet2d3d", 3).eval()
    first = net.encoder[0].eval()
    volume = torch.randn(1, 1, *CROPS[3])
    changed = volume.clone()
    changed[:, :, 3] += 1
    with torch.inference_mode():
        moved = (first(changed) != first(volume)).any(dim=1)[0].flatten(1).any(dim=1)
        whole = (net(changed) != net(volume)).any(dim=1)[0].flatten(1).any(dim=1)
    assert moved.tolist() == [z == 3 for z in range(8)]
    assert whole.sum() > 1


def test_hybrid_is_for_volumes() -> None:
    with pytest.raises(UsageError, match="unet2d3d is for 3 space axes, not 2; for images"):
        net_options({"type": "unet2d3d"}).build(2, 1, (2,), (1.0, 1.0), (64, 64))


# -- options ---------------------------------------------------------------------------------------
@every
def test_options_survive_json(name: str) -> None:
    options = net_options(SMALL[name])
    assert net_options(json.loads(options.model_dump_json())) == options
    assert isinstance(options, NetOptions) and net_options(options) is options


def test_wrong_requests_say_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no net 'resnet'; there are cenet, erfnet, unet, "):
        NETS["resnet"]
    with pytest.raises(UsageError, match="under 'type'"):
        net_options({"width": 3})
    with pytest.raises(ValidationError, match="colour"):
        net_options({"type": "unet", "colour": 3})
    with pytest.raises(UsageError, match=r"crop \(60, 64\).*divisor \(8, 8\).*\(64, 64\)"):
        net_options({"type": "unet"}).build(2, 1, (4, 1), (1.0, 1.0), (60, 64))
    with pytest.raises(UsageError, match="2 dimensions"):
        net_options({"type": "unet"}).build(2, 1, (4, 1), (1.0, 1.0, 1.0), (64, 64))


@pytest.mark.parametrize(("crop", "largest"), [(256, 16), (128, 8), (64, 4)])
def test_erfnet_dilates_no_further_than_training_crops_can_teach(crop, largest):
    net = net_options({"type": "erfnet"}).build(2, 1, (4, 1), (1.0, 1.0), (crop, crop))
    found = {max(layer.dilation) for layer in net.modules() if isinstance(layer, nn.Conv2d)}
    assert max(found) == largest
