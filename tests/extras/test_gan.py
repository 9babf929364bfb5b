"""The toy GAN of the mixup paper: data, losses in closed form, counts of updates, measures, resume."""
import math

import pytest
import torch

from openmix.extras import gan
from openmix.extras.gan import Settings, Training

SMALL = dict(width=32, batch=32, steps=40)


def test_centres_are_on_the_circle_and_the_lattice():
    ring, grid = gan.centres("ring"), gan.centres("grid")
    torch.testing.assert_close(ring.norm(dim=1), torch.ones(8))
    assert ring[0].tolist() == [1, 0] and len(grid) == 25 and len(grid.unique(dim=0)) == 25
    assert set(grid.flatten().tolist()) == {-1, -0.5, 0, 0.5, 1}


def test_points_have_the_deviation_of_the_paper_and_reach_every_centre():
    points = gan.sample(gan.centres("grid"), 20000, torch.Generator().manual_seed(0))
    offset = points - gan.centres("grid")[torch.cdist(points, gan.centres("grid")).argmin(1)]
    assert abs(float(offset.std()) - 0.01) < 2e-4
    assert gan.coverage(points, gan.centres("grid"))["modes"] == 25


def test_networks_have_the_paper_s_sizes():
    counts = [sum(p.numel() for p in gan.network(outputs).parameters()) for outputs in (2, 1)]
    assert counts == [527_874, 527_361]


@pytest.mark.parametrize("form", gan.FORMS)
@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_a_discriminator_that_knows_nothing_has_a_loss_of_ln_2(form, alpha):
    real, fake = torch.randn(2, 1, 64, 2)
    loss = gan.discriminator_loss(lambda x: torch.zeros_like(x[..., :1]), real, fake, Settings(form=form, alpha=alpha))
    assert float(loss) == pytest.approx(math.log(2))


def test_the_paper_mixes_a_real_with_a_fake_point_and_the_label_is_lam():
    real, fake = torch.full((1, 64, 2), 3.0), torch.full((1, 64, 2), -1.0)
    points, share = gan.mixed(real, fake, Settings(), [torch.Generator().manual_seed(1)])
    torch.testing.assert_close(points, share * 3 - (1 - share) * torch.ones(1, 64, 2))
    assert len(share.unique()) == 1, "one lam a batch"
    logits = torch.randn(1, 64, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(gan.cross_entropy(lambda x: logits, points, share), logits)
    torch.testing.assert_close(gradient, (logits.sigmoid() - share).detach() / 64)


def test_the_demo_mixes_any_points_with_a_lam_below_alpha_for_each():
    real, fake = torch.full((1, 64, 2), 1.0), torch.zeros(1, 64, 2)
    points, share = gan.mixed(real, fake, Settings(form="demo"), [torch.Generator().manual_seed(1)])
    assert points.shape == (1, 128, 2)
    torch.testing.assert_close(points, share.expand(-1, -1, 2))
    assert set((share * 10).floor().flatten().tolist()) <= {0, 1, 8, 9, 10}, "lam is in [0, 0.2]"


def test_the_best_loss_against_two_point_masses_is_the_mean_entropy_of_lam():
    """psi(2 alpha + 1) - psi(alpha + 1), where the discriminator reads lam off the mixed point."""
    settings, random = Settings(alpha=0.2), [torch.Generator().manual_seed(0)]
    real, fake = torch.ones(1, 1, 2), torch.zeros(1, 1, 2)

    def best(x):
        return torch.logit(x[..., :1], eps=1e-6)

    losses = [float(gan.discriminator_loss(best, real, fake, settings, random)) for _ in range(20000)]
    expected = float(torch.digamma(torch.tensor(1.4)) - torch.digamma(torch.tensor(1.2)))
    assert sum(losses) / len(losses) == pytest.approx(expected, abs=0.006)


def test_a_tiny_alpha_gives_the_batches_of_an_ordinary_gan():
    real, fake = torch.full((1, 8, 2), 3.0), torch.full((1, 8, 2), -1.0)
    random = [torch.Generator().manual_seed(0)]
    shares = torch.cat([gan.mixed(real, fake, Settings(alpha=1e-3), random)[1][0, :1] for _ in range(500)])
    assert ((shares < 1e-3) | (shares > 1 - 1e-3)).float().mean() > 0.97 and abs(float(shares.mean()) - 0.5) < 0.1
    assert torch.equal(gan.mixed(real, fake, Settings(alpha=0.0))[0], torch.cat([real, fake], 1))


def test_the_generator_maximises_what_the_discriminator_minimises_or_takes_the_other_form():
    net, (real, fake) = gan.network(1, 8), torch.randn(2, 1, 16, 2)
    seeds = [[torch.Generator().manual_seed(3)] for _ in range(2)]
    paper = Settings()
    assert torch.equal(gan.generator_loss(net, real, fake, paper, seeds[0]),
                       -gan.discriminator_loss(net, real, fake, paper, seeds[1]))
    demo = gan.generator_loss(net, real, fake, Settings(form="demo"))
    unmixed = gan.discriminator_loss(net, real, fake, Settings(alpha=0.0))
    torch.testing.assert_close(demo, -unmixed)
    other = gan.generator_loss(net, real, fake, Settings(saturating=False))
    torch.testing.assert_close(other, torch.nn.functional.softplus(-net(fake)).mean()[None])


def test_the_discriminator_is_updated_five_times_before_each_update_of_the_generator():
    run = Training(Settings(**SMALL))
    counts = [0, 0]
    for k, optimizer in enumerate(run.optimizers):
        optimizer.register_step_post_hook(lambda *_, k=k: counts.__setitem__(k, counts[k] + 1))
    run.run(until=3)
    assert counts == [3, 15]


def test_measures_count_modes_and_good_points():
    means = gan.centres("ring")
    points = torch.cat([means[:1].expand(600, 2), means[1:2].expand(390, 2) + 0.02, means[2:3].expand(5, 2),
                        torch.full((5, 2), 9.0)])
    facts = gan.coverage(points, means)
    assert facts["modes"] == 2 and facts["good"] == pytest.approx(0.995)
    far = float(torch.cdist(torch.full((1, 2), 9.0), means).min())
    assert facts["distance"] == pytest.approx((390 * 0.02 * 2**0.5 + 5 * far) / 1000, rel=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.2])
def test_a_run_that_was_stopped_goes_on_bit_by_bit(tmp_path, alpha):
    settings = Settings(alpha=alpha, **SMALL)
    whole = Training(settings)
    whole.run(snapshots=(10, 30))
    first = Training(settings)
    first.run(until=17, snapshots=(10, 30), saved=lambda run: torch.save(run.state(), tmp_path / "state.pth"))
    second = Training(settings)
    second.load(torch.load(tmp_path / "state.pth", weights_only=True))
    second.run(snapshots=(10, 30))
    assert second.history == whole.history and [entry["step"] for entry in whole.history] == [10, 30, 40]
    assert all(torch.equal(a, b) for a, b in zip(whole.maker.parameters(), second.maker.parameters(), strict=True))
    with pytest.raises(ValueError, match="other settings"):
        Training(Settings(seeds=(1,), **SMALL)).load(second.state())


@pytest.mark.parametrize("form, alpha", [("paper", 0.0), ("paper", 0.2), ("demo", 0.2)])
def test_a_seed_in_a_batch_of_seeds_becomes_what_it_becomes_alone(form, alpha):
    """Only the order of sums in matrix products may differ, and few steps let it grow little."""
    settings = dict(form=form, alpha=alpha, **SMALL)
    together = Training(Settings(seeds=(3, 0, 7), **settings))
    together.run(until=5, snapshots=(5,))
    for k, seed in enumerate((3, 0, 7)):
        alone = Training(Settings(seeds=(seed,), **settings))
        alone.run(until=5, snapshots=(5,))
        assert torch.equal(alone.random[0].get_state(), together.random[k].get_state())
        for a, b in zip([*alone.maker.parameters(), *alone.critic.parameters()],
                        [*together.maker.parameters(), *together.critic.parameters()], strict=True):
            torch.testing.assert_close(a[0], b[k], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone.snapshots[5][0], together.snapshots[5][k], rtol=1e-4, atol=1e-5)
        assert alone.history[0]["modes"][0] == together.history[0]["modes"][k]


def test_a_stack_of_networks_gives_what_each_of_them_gives():
    nets, points = [gan.network(2, 16) for _ in range(3)], torch.randn(3, 5, 2)
    torch.testing.assert_close(gan.Stack(nets)(points), torch.stack([n(p) for n, p in zip(nets, points, strict=True)]))


def test_training_takes_the_steps_of_a_plain_loop():
    """Modules, backward and Adam of PyTorch, one seed, the same draws: the reference."""
    settings = Settings(seeds=(2,), **SMALL)
    run = Training(settings)
    torch.manual_seed(2)
    maker, critic = gan.network(2, 32), gan.network(1, 32)
    optimizers = [torch.optim.Adam(net.parameters(), 1e-3) for net in (maker, critic)]
    random, means, bce = torch.Generator().manual_seed(2), gan.centres("ring"), torch.nn.BCEWithLogitsLoss()

    def objective(real, noise):
        lam = gan.sampling.beta(0.2, (1, 1), random)
        return bce(critic(lam * real + (1 - lam) * maker(noise)), lam.expand(32, 1))

    for _ in range(3):
        run.advance()
        real, noise = gan.sample(means, 5 * 32, random), torch.randn(5 * 32, 2, generator=random)
        for a, b in zip(real.split(32), noise.split(32), strict=True):
            critic.zero_grad()
            objective(a, b).backward()
            optimizers[1].step()
        real, noise = gan.sample(means, 32, random), torch.randn(32, 2, generator=random)
        maker.zero_grad()
        (-objective(real, noise)).backward()
        optimizers[0].step()
    for net, stack in ((maker, run.maker), (critic, run.critic)):
        weights = [p.T if p.ndim == 2 else p[None] for p in net.parameters()]
        for a, b in zip(weights, [p[0] for pair in zip(stack.weights, stack.biases, strict=True) for p in pair],
                        strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_the_global_random_state_stays():
    before = torch.get_rng_state()
    Training(Settings(**SMALL)).run(until=2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("options, message", [(dict(data="circle"), "'ring' or 'grid'"), (dict(form="papre"), "form"),
                                              (dict(alpha=-1), "alpha"), (dict(steps=0), "steps"),
                                              (dict(seeds=()), "seeds"), (dict(seeds=(1, 1)), "seeds")])
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Settings(**options)
