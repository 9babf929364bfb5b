"""The forms of the step: which is chosen, and that the compiled one is the eager one, in one graph a program."""
import pytest
import torch

from openmix.engine.runner import Runner
from openmix.engine.step.compiled import CompiledStep
from openmix.engine.step.modes import choose_mode
from openmix.mixups import MixUp
from openmix.registry import MIXUPS
from tests.engine.step.tape import remade
from tests.engine.tiny import METHODS, config

pytestmark = pytest.mark.usefixtures("four_layers")


def build(tmp_path, method="MixUp", images=60, **changes):
    cfg = config(tmp_path, mixup=method, epochs=2, images=images, custom_hooks=[], val_cfg=None, val_dataloader=None,
                 val_evaluator=None, **changes)
    cfg.default_hooks.checkpoint = None
    runner = Runner.from_cfg(cfg)
    return runner.build_train_loop()


class OnGPU:
    """A step as it would be on a GPU, for the choice alone."""

    def __init__(self, step, **changes):
        self.__dict__.update(step.__dict__, device=torch.device("cuda"), **changes)


@pytest.mark.parametrize("asked, chosen", [("auto", "eager"), ("eager", "eager"), ("compile", "compile"),
                                           ("graph", "graph"), ("compile+graph", "compile+graph")])
def test_a_gpu_gets_the_form_asked_for_and_captures_only_if_asked(tmp_path, asked, chosen):
    assert choose_mode(asked, OnGPU(build(tmp_path).step)) == (chosen, None)


@pytest.mark.parametrize("changes, word", [(dict(accumulate=2), "accumulated"), (dict(scaler=object()), "fp16")])
def test_what_cannot_be_captured_says_why_and_keeps_the_compiler(tmp_path, changes, word):
    step = OnGPU(build(tmp_path).step, **changes)
    for asked, left in (("graph", "eager"), ("compile+graph", "compile"), ("compile", "compile")):
        form, reason = choose_mode(asked, step)
        assert form == left and (asked == "compile" or word in reason)


def test_an_optimizer_with_a_learning_rate_of_the_host_is_not_captured(tmp_path):
    step = build(tmp_path, **{"optim_wrapper.optimizer": dict(type="RMSprop", lr=0.01)}).step
    form, reason = choose_mode("graph", OnGPU(step))
    assert form == "eager" and "RMSprop" in reason


def test_several_processes_train_eagerly_and_the_log_gives_the_reason(tmp_path):
    form, reason = choose_mode("compile+graph", OnGPU(build(tmp_path).step, world=2))
    assert form == "eager" and "several processes" in reason


def test_a_cpu_is_eager_by_itself_and_refuses_graphs(tmp_path):
    step = build(tmp_path).step
    assert choose_mode("auto", step) == ("eager", None) and choose_mode("compile", step) == ("compile", None)
    for form in ("graph", "compile+graph"):
        with pytest.raises(ValueError, match="needs a GPU.*'auto'"):
            choose_mode(form, step)
    with pytest.raises(ValueError, match="'compile'"):
        choose_mode("compiled", step)


class Counting:
    """A compiler that changes nothing and counts graphs."""

    def __init__(self):
        self.graphs = 0

    def __call__(self, module, inputs):
        self.graphs += 1
        return module.forward


def run(loop):
    loop.runner.call_hook("before_run")
    loop.run()
    return loop


@pytest.mark.parametrize("method", METHODS)
def test_a_step_compiles_to_one_graph_a_program_and_trains_as_the_eager_one(tmp_path, method):
    torch._dynamo.reset()
    spec = dict(type="PuzzleMix", blocks=(2, 4)) if method == "PuzzleMix" else method  # finer grids trace for minutes
    eager = run(build(tmp_path / "eager", spec, images=30))
    loop, said, compiler = build(tmp_path / "compiled", spec, images=30), [], Counting()
    loop.step = compiled = remade(loop.step, CompiledStep, warn=said.append, backend=compiler)
    run(loop)
    assert not said and compiler.graphs == len(compiled.compiled)
    for a, b in zip(eager.runner.model.parameters(), loop.runner.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_a_compiled_step_averages_over_the_same_windows_as_the_eager_one(tmp_path):
    torch._dynamo.reset()
    changes = {"optim_wrapper.accumulative_counts": 4}  # six batches an epoch
    eager = run(build(tmp_path / "eager", "MixUp", **changes))
    loop = build(tmp_path / "compiled", "MixUp", **changes)
    loop.step = remade(loop.step, CompiledStep, backend=Counting())
    run(loop)
    for a, b in zip(eager.runner.model.parameters(), loop.runner.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


class AsksTheHost(MixUp):
    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        losses = super().loss(net, images, labels, criterion, draws, progress)
        return dict(loss=losses["loss"] * (2 if losses["loss"].item() > 2 else 1))


class KnowsItsLimits(MixUp):
    capturable = "it asks an oracle"


@pytest.fixture(autouse=True)
def registered():
    """Methods of this file, gone again for other tests, which go over all that is registered."""
    own = (AsksTheHost, KnowsItsLimits)
    for method in own:
        MIXUPS.register_module(module=method)
    yield
    for method in own:
        MIXUPS._module_dict.pop(method.__name__)


def test_what_cannot_be_compiled_says_why_once_and_trains_eagerly(tmp_path):
    torch._dynamo.reset()
    eager = run(build(tmp_path / "eager", "AsksTheHost"))
    loop, said = build(tmp_path / "compiled", "AsksTheHost"), []
    loop.step = remade(loop.step, CompiledStep, warn=said.append, backend=Counting())
    run(loop)
    assert len(said) == 1 and "cannot be compiled" in said[0]
    for a, b in zip(eager.runner.model.parameters(), loop.runner.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_backward_pass_that_cannot_be_compiled_is_noticed_before_it_matters(tmp_path):
    """It is compiled late, outside the forward call; statistics of BatchNorm must not count the trial."""
    from torch._dynamo.backends.common import aot_autograd

    def no_backward(module, inputs):
        raise RuntimeError("no backward here\nand more")

    torch._dynamo.reset()
    eager = run(build(tmp_path / "eager"))
    loop, said = build(tmp_path / "compiled"), []
    backend = aot_autograd(fw_compiler=lambda module, inputs: module.forward, bw_compiler=no_backward)
    loop.step = remade(loop.step, CompiledStep, warn=said.append, backend=backend)
    run(loop)
    assert len(said) == 1 and "no backward here" in said[0] and "more" not in said[0]
    for name, value in eager.runner.model.state_dict().items():
        assert torch.equal(value, loop.runner.model.state_dict()[name]), name


def test_a_method_may_refuse_to_be_captured_and_its_reason_is_logged(tmp_path):
    form, reason = choose_mode("graph", OnGPU(build(tmp_path, "KnowsItsLimits").step))
    assert form == "eager" and "asks an oracle" in reason
    mixture = dict(type="RandomChoice", methods=[dict(type="CutMix"), dict(type="KnowsItsLimits")])
    assert "asks an oracle" in choose_mode("compile", build(tmp_path / "mixture", mixture).step)[1]


def test_inductor_compiles_a_training_by_config(tmp_path):
    """In other kernels a ReLU at zero may open: one did on a CPU with AVX512, at a hundredth of the way of a weight."""
    def weights(loop):
        return torch.cat([p.detach().flatten() for p in loop.runner.model.parameters()])

    torch._dynamo.reset()
    begin = weights(build(tmp_path / "begin"))
    eager = weights(run(build(tmp_path / "eager")))
    loop = run(build(tmp_path / "compiled", **{"env_cfg.step": "compile"}))
    assert loop.step.mode == "compile" and loop.step.compiled and not loop.step.warned
    assert (weights(loop) - eager).norm() < 0.03 * (eager - begin).norm()


def test_log_lines_come_an_interval_late_on_a_gpu_and_say_the_same(tmp_path):
    """Iteration numbers, learning rates and losses of the lines, and the epoch's means."""
    entries = []
    for late in (False, True):
        loop = build(tmp_path / str(late), "RandomChoice", **{"default_hooks.logger.interval": 2})
        loop.late, seen = late, []

        class Watch:
            def after_train_iter(self, runner, batch_idx, data_batch, outputs):
                scalars = {k: v for k, v in outputs.items() if k not in ("time", "data_time", "img/s")}
                self.seen.append((runner.iter, batch_idx, scalars, self.loop._iter_now()))  # noqa: B023

        watch = Watch()
        watch.seen, watch.loop = seen, loop
        steps = []
        loop._iter_now = lambda steps=steps: len(steps)
        call = loop.step.run
        loop.step.run = lambda *args, call=call, steps=steps: steps.append(1) or call(*args)
        start = loop.start
        loop.start = lambda start=start, loop=loop, watch=watch: (start(), loop.observers.append(watch))
        run(loop)
        entries.append((seen, [epoch["train"] for epoch in loop.runner.history]))
    (soon, means), (late, late_means) = entries
    assert [line[:3] for line in soon] == [line[:3] for line in late] and means == late_means
    assert [line[3] for line in soon] == [2, 4, 6, 8, 10, 12]  # steps done when the line was written
    assert [line[3] for line in late] == [4, 6, 6, 10, 12, 12]
