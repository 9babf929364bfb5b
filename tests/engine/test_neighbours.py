"""Training with nearest neighbours as partners: in every mode of the step, resumed, and on two processes."""
import pytest
import torch

from openmix.datasets.neighbours import neighbour_table
from openmix.engine.step.compiled import CompiledStep
from tests.engine.step.tape import remade
from tests.engine.step.test_cudagraph import assert_same_training, epochs
from tests.engine.step.test_modes import Counting, build, run
from tests.engine.test_processes import ranks_agree
from tests.engine.test_resume import LAST, PARTS, straight_and_cut
from tests.engine.tiny import assert_equal_state, config, train

METHOD = dict(type="MixUp", partner="class_knn", k=2, labels="nearer")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_a_run_cut_in_mid_epoch_equals_the_straight_one_bit_by_bit(tmp_path):
    (whole, whole_losses), (parts, parts_losses) = straight_and_cut(tmp_path, 6, mixup=METHOD)
    for part in PARTS:
        assert_equal_state(whole[part], parts[part])
    assert whole_losses == parts_losses


def test_the_step_trains_on_the_images_and_their_neighbours(tmp_path):
    preview = {"default_hooks.preview": dict(_delete_=True, interval=1)}
    runner = train(config(tmp_path, mixup=METHOD, epochs=1, **preview))
    loader, net = runner.train_loop.dataloader, runner.model.net
    table, row = neighbour_table(loader.data, 2, same_class=True), next(iter(loader.rows(0)))
    assert torch.equal(loader.table, table) and runner.model.mixup.neighbours == loader.neighbours
    assert next(tmp_path.rglob("*.png")).is_file(), "the picture of mixtures shows them"
    step, seen = runner.train_loop.step, []
    net.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    step.forward(row, 0.0, True)
    images, others, lam = loader.batch(row)[0], loader.draws(row)["partner_images"], row.mix["lam"]
    torch.testing.assert_close(seen[0], lam * images + (1 - lam) * others)
    step.forward(row, 0.0, False)
    assert torch.equal(seen[1], images), "without mixing"


def test_the_compiled_step_is_the_eager_one_in_one_graph(tmp_path):
    torch._dynamo.reset()
    eager = run(build(tmp_path / "eager", METHOD))
    loop, said, compiler = build(tmp_path / "compiled", METHOD), [], Counting()
    loop.step = remade(loop.step, CompiledStep, warn=said.append, backend=compiler)
    run(loop)
    assert not said and compiler.graphs == 1
    for a, b in zip(eager.runner.model.parameters(), loop.runner.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_captured_step_is_the_eager_one(tmp_path):
    eager, _ = epochs(tmp_path, METHOD, "eager")
    graph, said = epochs(tmp_path, METHOD, "graph")
    assert not said and any(p.state == "checked" for p in graph.step.variants.values())
    assert_same_training(eager, graph)


def test_two_processes_keep_equal_parameters(tmp_path):
    ranks_agree(tmp_path, config(tmp_path / "run", mixup=METHOD, **{"optim_wrapper.accumulative_counts": 2}))


def test_more_neighbours_than_images_of_a_class_is_an_error_at_the_start(tmp_path):
    with pytest.raises(ValueError, match="k=200 neighbours need k . 1 images of each class"):
        train(config(tmp_path, mixup=dict(type="MixUp", partner="class_knn")))
    assert LAST not in [path.name for path in tmp_path.iterdir()]
