"""The whole step under fake CUDA tensors, which have no values: a host read, a host copy or a stray CPU tensor raises.

The backward pass and torch's fused optimizer need a real device; here gradients are made up and weights stay, and the
tape of ``test_graphs`` sees both.
"""
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from openmix import probes
from openmix.datasets import ResidentLoader, Shapes
from openmix.engine.hooks import EMAHook
from openmix.engine.optim.optimizers import build_optimizer
from openmix.engine.step.eager import EagerStep, NonFiniteGuard
from openmix.frozen import Frozen
from openmix.models import Classifier
from openmix.plan import Plan
from tests.engine.tiny import METHODS, backbone, spec

pytestmark = pytest.mark.usefixtures("four_layers")

CUDA = torch.device("cuda", 0)


class NoCopies(TorchDispatchMode):
    """Raises where a tensor goes from the host to the device or back."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket.__name__ in ("_to_copy", "copy_"):
            devices = {t.device.type for t in (*args, result) if isinstance(t, torch.Tensor)}
            if len(devices) > 1:
                raise RuntimeError(f"{function} copies between the host and the device")
        return result


def fake(tree):
    """A nested dict, or a tensor, with fake CUDA tensors in the place of its tensors."""
    if isinstance(tree, dict):
        return {k: fake(v) for k, v in tree.items()}
    return torch.empty(tree.shape, dtype=tree.dtype, device=CUDA) if isinstance(tree, torch.Tensor) else tree


def fake_module(module: nn.Module) -> None:
    hidden = [net for part in module.modules() if isinstance(part, Frozen) for net in part._hidden]  # of teachers
    for part in [*module.modules(), *(part for net in hidden for part in net.modules())]:
        for name, value in part._parameters.items():
            if value is not None:
                part._parameters[name] = nn.Parameter(fake(value), value.requires_grad)
        part._buffers.update(fake(part._buffers))


def step_on_gpu(method, optimizer="SGD"):
    model = Classifier(backbone(method), 10, mixup=method)
    loader = ResidentLoader(Shapes(num_images=40), 10, draw=model.mixup.draw)
    plan = loader.plan(0)._replace(progress=torch.rand(4), lr=torch.rand(4, 1))
    average = EMAHook()
    average.trained, average.net = model.net, Classifier(backbone(method), 10).net
    with FakeTensorMode() as mode:
        fake_module(model)
        fake_module(average.net)
        vars(loader).update(fake(dict(images=loader.images, labels=loader.labels, mean=loader.mean, std=loader.std)))
        built = build_optimizer(model, dict(optimizer=dict(type=optimizer, lr=0.1)))
        step = EagerStep(model, built, loader.batch, device=torch.device("cpu"))  # no generators of a GPU here
        step.guard, built.step = NonFiniteGuard(built, CUDA), lambda: None
        return mode, step, Plan(*map(fake, plan)).row(0), average


@pytest.mark.parametrize("method", METHODS)
def test_no_value_is_read_and_nothing_copied_between_host_and_device(method, monkeypatch):
    mode, step, here, average = step_on_gpu(spec(method))
    monkeypatch.setattr(probes, "input_gradient", lambda net, images, labels, criterion: images.mean(1).abs())
    monkeypatch.setattr(probes, "clean_pass", lambda net, images, *_: (net(images), images.mean(1).abs()))
    with mode, NoCopies():
        for progress in (0.5, here.progress):  # of the eager form, of the captured one
            losses = {k: v.detach() for k, v in step.forward(here, progress, True).items()}
            assert losses["loss"].device == CUDA
            for parameter in step.parameters:
                parameter.grad = torch.empty_like(parameter)
            step.guard.check(losses["loss"])
            step.update(progress)
            average.follow()
            step.meter.add(losses)


@pytest.mark.parametrize("broken", ["read", "copy", "stray"])
def test_a_step_that_waits_for_the_host_is_noticed(broken, monkeypatch):
    mode, step, here, _ = step_on_gpu(dict(type="MixUp"))
    forward = step.model.net.forward
    what = dict(read=lambda x: x * x.mean().item(), copy=lambda x: x * torch.ones(10).to(CUDA),
                stray=lambda x: x * torch.ones(10))[broken]
    monkeypatch.setattr(step.model.net, "forward", lambda images: what(forward(images)))
    with mode, NoCopies(), pytest.raises(Exception, match="_local_scalar_dense|between the host|device"):
        step.forward(here, 0.5, True)
