"""The captured form of the step, on a tape in the place of a CUDA graph."""
import sys

import pytest
import torch

from openmix.engine.hooks import EMAHook
from openmix.engine.resume import save_run
from openmix.engine.runner import Runner
from openmix.engine.step.cudagraph import WARM_UP, CudaGraphStep, State
from openmix.mixups import MixUp
from openmix.plan import Plan, StaticRow
from openmix.registry import MIXUPS
from tests.engine.step.tape import Tape, remade
from tests.engine.tiny import METHODS, config, spec

pytestmark = pytest.mark.usefixtures("four_layers")


def epochs(tmp_path, method, form, epochs=4, optim_wrapper=None, tape=Tape, **changes):
    """Train with the eager or the (taped) captured form; the loop, and what was said."""
    cfg = config(tmp_path / form, mixup=method, epochs=epochs, images=60, val_cfg=None, val_dataloader=None,
                 val_evaluator=None, **changes)
    cfg.default_hooks.checkpoint = None
    cfg.optim_wrapper = optim_wrapper or cfg.optim_wrapper
    runner, said = Runner.from_cfg(cfg), []
    loop = runner.build_train_loop()
    if form == "graph":
        followers = [hook for hook in runner.hooks if hasattr(hook, "follow")]
        loop.step = remade(loop.step, CudaGraphStep, warn=said.append,
                           record=lambda run: tape(run, loop.step, followers))
        upload_packed(loop.dataloader)
    loop.step.guard.immediate = False  # as on a GPU
    runner.call_hook("before_run")
    loop.run()
    return loop, said


def upload_packed(loader):
    """Rows as on a GPU: parts of one block of bytes."""
    def rows(epoch, start, columns):
        plan = loader.plan(epoch)._replace(**columns).pack()
        for i in range(start, len(loader)):
            yield plan.row(i)
    loader.rows = rows


@pytest.fixture(autouse=True)
def no_shortcuts(monkeypatch):
    """What methods do otherwise on CPUs, where reading a box costs nothing, is not what a GPU runs."""
    for name, module in list(sys.modules.items()):
        if name.startswith("openmix.") and hasattr(module, "is_at_hand"):
            monkeypatch.setattr(module, "is_at_hand", lambda numbers: False)


@pytest.mark.parametrize("method", METHODS)
def test_captured_training_is_the_eager_one_and_reads_nothing_from_the_device(method, tmp_path):
    drawn = MIXUPS.build(spec(method)).draw(10, (32, 32), torch.Generator().manual_seed(0))
    length = 2 if all(isinstance(value, torch.Tensor) for value in drawn.values()) else 4  # some: choices of the host
    eager, _ = epochs(tmp_path, method, "eager", epochs=length)
    graph, said = epochs(tmp_path, method, "graph", epochs=length)
    programs = graph.step.variants
    assert not said and any(p.state == "checked" for p in programs.values()), (said, programs)
    assert sum(p.calls for p in programs.values()) == 6 * length
    assert_same_training(eager, graph)


def assert_same_training(eager, graph):
    """Weights, buffers, averages and logged losses; learning rate and progress are float32 in a graph."""
    expected, actual = eager.runner.model.state_dict(), graph.runner.model.state_dict()
    hooks = [next(h for h in loop.runner.hooks if isinstance(h, EMAHook)) for loop in (eager, graph)]
    averaged = [hook.net.state_dict() for hook in hooks]
    for a, b in ((expected, actual), averaged):
        for name in a:
            torch.testing.assert_close(b[name], a[name], rtol=1e-4, atol=1e-5, msg=lambda m: f"{name}: {m}")  # noqa: B023
    logs = [[epoch["train"]["loss"] for epoch in loop.runner.history] for loop in (eager, graph)]
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)


class CountsOnTheHost(MixUp):
    """Its loss depends on a number of the host, which a recording freezes."""

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        self.calls = getattr(self, "calls", 0) + 1
        losses = super().loss(net, images, labels, criterion, draws, progress)
        return dict(loss=losses["loss"] * (1 + self.calls % 2))


class ReadsTheDevice(MixUp):
    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        losses = super().loss(net, images, labels, criterion, draws, progress)
        return dict(loss=losses["loss"] * (2 if losses["loss"].item() > 2 else 1))


@pytest.fixture(autouse=True)
def registered():
    """Methods of this file, gone again for other tests, which go over all that is registered."""
    own = (CountsOnTheHost, ReadsTheDevice)
    for method in own:
        MIXUPS.register_module(module=method)
    yield
    for method in own:
        MIXUPS._module_dict.pop(method.__name__)


def test_a_step_that_depends_on_the_host_is_recognised_and_runs_eagerly(tmp_path):
    eager, _ = epochs(tmp_path, "CountsOnTheHost", "eager", epochs=1)
    assert eager.step.mode == "eager"
    graph, said = epochs(tmp_path, "CountsOnTheHost", "graph", epochs=1)
    assert [p.state for p in graph.step.variants.values()] == ["refused"]
    assert len(said) == 1 and "differ from the eager step's" in said[0]


def test_a_step_that_cannot_be_captured_says_why_once_and_trains_as_the_eager_one(tmp_path):
    eager, _ = epochs(tmp_path, "ReadsTheDevice", "eager")
    graph, said = epochs(tmp_path, "ReadsTheDevice", "graph")
    assert [p.state for p in graph.step.variants.values()] == ["refused"]
    assert len(said) == 1 and "reads values of the device" in said[0]
    assert_same_training(eager, graph)


@pytest.mark.parametrize("forgotten", ["averages", "momentum weights", "buffers", "optimizer state", "loss sums",
                                       "history"])
def test_a_graph_that_forgets_one_kind_of_state_is_not_trusted(tmp_path, forgotten):
    """Also one that hardly changes in a step, beside counters that change by 1."""
    def forget(run, step, followers):
        tape = Tape(run, step, followers)
        replay, state = tape.replay, State(step, followers)

        def without():
            before = state.copy()
            result = replay()
            for tensor, old in zip(state.kinds[forgotten], before[forgotten], strict=True):
                if tensor.is_floating_point():
                    tensor.data.copy_(old)
            return result

        tape.replay = without
        return tape

    method = dict(type="AutoMix", momentum=0.9, momentum_end=0.9) if forgotten != "history" else "RecursiveMix"
    _, said = epochs(tmp_path, method, "graph", epochs=1, tape=forget)
    assert len(said) == 1 and forgotten in said[0]


def test_what_is_no_number_is_a_difference():
    state = State.__new__(State)
    weights, counter = torch.ones(3), torch.tensor(4)
    state.kinds = dict(weights=[weights], buffers=[torch.tensor([float("nan")]), counter])
    before = dict(weights=[torch.zeros(3)], buffers=[torch.zeros(1), torch.tensor(3)])
    expected = dict(weights=[torch.ones(3)], buffers=[torch.ones(1), torch.tensor(4)])
    actual = state.difference(before, expected, 1e-3)
    assert actual["weights"] == 0 and not actual["buffers"] <= 1e-3
    state.kinds["buffers"] = [torch.ones(1), torch.tensor(5)]
    assert state.difference(before, expected, 1e-3)["buffers"] == float("inf")


def test_after_a_capture_that_failed_no_other_is_tried(tmp_path):
    def fails(run, step, followers):
        raise RuntimeError from AssertionError()

    tapes = []
    loop, said = epochs(tmp_path, "ManifoldMix", "graph", tape=lambda *args: tapes.append(1) or fails(*args))
    assert len(tapes) == 1 and len(said) == 1 and "no message" in said[0]
    assert_same_training(epochs(tmp_path, "ManifoldMix", "eager")[0], loop)


def test_a_hook_that_freezes_layers_makes_a_new_capture(tmp_path):
    cfg = config(tmp_path, epochs=4, images=60, val_cfg=None, val_dataloader=None, val_evaluator=None)
    cfg.default_hooks.checkpoint = None
    runner = Runner.from_cfg(cfg)
    loop = runner.build_train_loop()
    loop.step = captured = remade(loop.step, CudaGraphStep, record=lambda run: Tape(run, loop.step))
    loop.step.guard.immediate = False
    upload_packed(loop.dataloader)
    runner.call_hook("before_run")
    loop.start()
    loop.followers = []
    loop.run_epoch()
    assert [p.state for p in captured.variants.values()] == ["checked"]
    loop.run_epoch()
    assert [p.calls for p in captured.variants.values()] == [12]
    runner.model.net.head.fc.bias.requires_grad_(False)
    loop.run_epoch()
    assert [p.calls for p in captured.variants.values()] == [6]


def test_a_program_is_captured_for_each_choice_of_the_host(tmp_path):
    graph, said = epochs(tmp_path, "ManifoldMix", "graph", epochs=6)
    programs = graph.step.variants
    assert not said and len(programs) == 3
    assert {p.state for p in programs.values()} == {"checked"} and min(p.calls for p in programs.values()) > WARM_UP + 2


def test_switching_mixing_off_and_averaging_now_and_then_are_programs_of_their_own(tmp_path):
    changes = {"train_cfg.mixup_off_epochs": 2, "custom_hooks": [dict(type="EMAHook", momentum=0.1, interval=2)]}
    eager, _ = epochs(tmp_path, "MixUp", "eager", epochs=5, **changes)
    graph, said = epochs(tmp_path, "MixUp", "graph", epochs=5, **changes)
    assert not said and len(graph.step.variants) == 4
    assert_same_training(eager, graph)


@pytest.mark.parametrize("optimizer", [dict(type="AdamW", lr=1e-3),
                                       dict(type="SGD", lr=0.05, momentum=0.9, dampening=0.1)])
def test_optimizers_keep_their_state_through_capture(tmp_path, optimizer):
    wrapper = dict(optimizer=optimizer, clip_grad=dict(max_norm=1.0))
    eager, graph = (epochs(tmp_path, "MixUp", form, 2, wrapper)[0] for form in ("eager", "graph"))
    assert {p.state for p in graph.step.variants.values()} == {"checked"}
    assert_same_training(eager, graph)


def test_a_checkpoint_of_a_captured_run_has_plain_learning_rates(tmp_path):
    graph, _ = epochs(tmp_path, "MixUp", "graph", 1, dict(optimizer=dict(type="AdamW", lr=1e-3)))
    graph.runner.started = 0.0
    save_run(graph.runner, "end.pth")
    group = torch.load(tmp_path / "graph" / "end.pth", weights_only=True)["optimizer"]["param_groups"][0]
    assert isinstance(group["lr"], float) and group["capturable"] is False
    assert isinstance(graph.optimizer.param_groups[0]["lr"], torch.Tensor)


def test_a_packed_plan_is_the_plan():
    plan = Plan(index=torch.randint(9, (5, 4)), crop=torch.randint(9, (5, 4, 2)).short(), flip=torch.rand(5, 4) < 0.5,
                mix=dict(lam=torch.rand(5, 1), layer=[0, 1, 2, 0, 1], inner=dict(box=torch.randint(9, (5, 1, 4)))),
                progress=torch.rand(5), lr=torch.rand(1, 5).T)
    packed = plan.pack()
    block = packed.packed.block
    assert block.shape[0] == 5 and block.dtype == torch.uint8 and block.shape[1] % 16 == 0
    for i in range(5):
        expected, now = plan.row(i), packed.row(i)
        assert now.mix["layer"] == expected.mix["layer"] and torch.equal(now.packed.block, block[i])
        for a, b in ((now._asdict(), expected._asdict()), (now.mix, expected.mix),
                     (now.mix["inner"], expected.mix["inner"])):
            for name, value in b.items():
                if isinstance(value, torch.Tensor):
                    assert a[name].dtype == value.dtype and torch.equal(a[name], value) and a[name].is_contiguous()


def test_a_static_row_is_filled_from_packed_bytes_and_from_tensors_that_lie_elsewhere():
    plan = Plan(index=torch.arange(20).view(5, 4), mix=dict(lam=torch.rand(5, 1), layer=[3] * 5), seed=[7] * 5).pack()
    block, plan = plan.packed.block, plan._replace(images=torch.rand(5, 4, 3, 2, 2))
    static = StaticRow(plan.row(0))
    before = block.clone()
    static.load(plan.row(3))
    assert torch.equal(static.row.index, plan.index[3]) and torch.equal(static.row.images, plan.images[3])
    assert torch.equal(static.row.mix["lam"], plan.mix["lam"][3]) and static.row.mix["layer"] == 3
    static.row.images.zero_()
    static.row.index.zero_()
    assert torch.equal(block, before) and plan.images[3].any()


def test_a_static_row_without_packed_bytes_is_filled_tensor_by_tensor():
    plan = Plan(index=torch.arange(20).view(5, 4), mix=dict(lam=torch.rand(5, 1), inner=dict(key=torch.rand(5, 1))))
    static = StaticRow(plan.row(0))
    static.load(plan.row(3))
    assert torch.equal(static.row.index, plan.index[3])
    assert torch.equal(static.row.mix["inner"]["key"], plan.mix["inner"]["key"][3])
