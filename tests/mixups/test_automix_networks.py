"""What AutoMix evaluates, saves and copies, other architectures, and that it learns."""

import pytest
import torch
from torch import nn

from openmix.mixups import AutoMix, CutMix, ManifoldMix, MixUp, RandomChoice
from tests.mixups.learned import SIZE, Tokens, attached, cross_entropy, draws_for, trainable


@pytest.fixture
def pair(make_net):
    """``pair(**options)``: an AutoMix attached to a TinyNet, and the net; equal each time."""
    return lambda **options: attached(make_net(), **options)


# -- networks, state, other architectures ------------------------------------------------------------------------


def test_it_works_beside_manifoldmix_and_others(make_net, make_batch):
    net, mix = make_net(), RandomChoice([ManifoldMix(), AutoMix(), CutMix(), MixUp()])
    mix.attach(net)
    for choice in range(4):
        draws = {**mix.draw(4, SIZE), "choice": choice}
        mix.loss(net, *make_batch(4), cross_entropy, draws)["loss"].backward()
        assert all(p.grad is not None for p in trainable(mix, net))
        mix.zero_grad(), net.zero_grad()
        mix.after_step(net, 0.2)
    assert list(mix.networks(net))[1:] == ["mix_k", "one_k", "mix_q", "one_q"]


def test_tokens_of_a_transformer_serve_as_a_map(make_batch):
    net, method = Tokens(), AutoMix(layer="blocks.0")
    method.attach(net)
    assert method.block.query.in_channels == 13
    images, labels = make_batch()
    mask = method.details(images, draws_for(method, lam=0.5))["mask"]
    patches = mask.unfold(2, 8, 8).unfold(3, 8, 8)
    assert torch.equal(patches.amax((4, 5)), patches.amin((4, 5)))  # one value a patch
    method.loss(net, images, labels, cross_entropy)["loss"].backward()
    assert all(p.grad is not None for p in trainable(method, net))


def test_images_of_another_size_and_bilinear_masks(pair, make_batch):
    for upsample in ("nearest", "bilinear"):
        method, net = pair(upsample=upsample)
        images, labels = make_batch(size=(16, 24))
        mask = method.details(images, draws_for(method, lam=0.5))["mask"]
        assert mask.shape == (6, 1, 16, 24)
        blocks = mask.unfold(2, 4, 4).unfold(3, 4, 4)
        assert torch.equal(blocks.amax((4, 5)), blocks.amin((4, 5))) is (upsample == "nearest")
        assert method.loss(net, images, labels, cross_entropy)["loss"].isfinite()


def test_a_convolution_can_be_the_classifier(make_batch):
    net = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 10, 1),
                        nn.AdaptiveAvgPool2d(1), nn.Flatten())
    method = AutoMix(layer="2", classifier="3")
    method.attach(net)
    method.loss(net, *make_batch(), cross_entropy)["loss"].backward()
    assert all(p.grad is not None for p in trainable(method, net))


def test_mistakes_are_reported_with_a_way_out(make_net, make_batch):
    images, labels = make_batch(4)
    wrong = dict(momentum=-1, momentum_end=0.5, momentum_warmup=10, mask_loss=-1, margin=2, lam_margin=0.6,
                 upsample="cubic", mask_loss_per="image")
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=name):
            AutoMix(**{name: value})
    with pytest.raises(TypeError, match="attach"):
        AutoMix()(images, labels)
    for call in (lambda: AutoMix().loss(make_net(), images, labels, cross_entropy),
                 lambda: AutoMix().networks(make_net()), lambda: AutoMix().after_step(make_net(), 0.0),
                 lambda: AutoMix().details(images, None)):
        with pytest.raises(ValueError, match="attach"):
            call()
    with pytest.raises(ValueError, match="did you mean 'layer3'"):
        AutoMix(layer="layr3").attach(make_net())
    with pytest.raises(ValueError, match="image_size or channels"):
        AutoMix(image_size=(1, 32, 32)).attach(make_net())
    with pytest.raises(ValueError, match="image_size or channels"):
        AutoMix(layer="blocks.0", image_size=64).attach(Tokens())
    AutoMix(layer="blocks.0", image_size=64, channels=12).attach(Tokens())


def test_two_passes_serve_the_four_networks(pair, make_batch):
    method, net = pair()
    passes = []
    for body in (net, method.teacher):
        body.eval().layer1.register_forward_hook(lambda module, inputs, output: passes.append(module))
    mix = RandomChoice([CutMix(), method])
    method.predict(net, make_batch()[0])
    assert passes == [method.teacher.layer1, net.layer1] and not net.fc._forward_hooks
    assert list(mix.predict(net, make_batch()[0])) == ["net", "mix_k", "one_k", "mix_q", "one_q"]


# -- learning ----------------------------------------------------------------------------------------------------


def test_the_loss_of_the_block_falls_on_a_fixed_batch(make_net, make_batch):
    """A classifier that knows the batch, then the block alone: it finds masks that the teacher reads more easily."""
    torch.manual_seed(0)
    net, method = make_net(), AutoMix(momentum=0.0)
    method.attach(net)
    images, labels = make_batch(8, (16, 16))
    optimizer = torch.optim.Adam([*net.parameters(), *method.head_mix.parameters()], 0.01)
    for seed in range(40):
        loss = method.loss(net, images, labels, cross_entropy, draws_for(method, 8, seed))["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step(net, 0.0)
    draws = draws_for(method, 8, lam_block=0.6)
    optimizer, actual = torch.optim.Adam(method.block.parameters(), 0.02), []
    for _ in range(60):
        losses = method.loss(net, images, labels, cross_entropy, draws)
        actual.append((losses["loss_mix_k"] + losses["loss_mask"]).item())
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    assert sum(actual[-10:]) / 10 < sum(actual[:10]) / 10 - 0.02, actual[::10]


def patches(n, size, generator):
    """A learnable toy: one of four 6 x 6 patterns somewhere on noise."""
    pattern = 2 * torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(5))
    labels = torch.randint(4, (n,), generator=generator)
    images = 0.3 * torch.randn(n, 3, size, size, generator=generator)
    for image, label, (y, x) in zip(images, labels, torch.randint(size - 6, (n, 2), generator=generator), strict=True):
        image[:, y:y + 6, x:x + 6] += pattern[label]
    return images, labels


def test_masks_vary_over_the_image_after_300_steps(make_net):
    """The standard deviation inside an image, at lam = 1/2: that of a constant mask a batch or an image is 0."""
    torch.manual_seed(0)
    net, method = make_net(widths=(8, 16, 32, 32), num_classes=4), AutoMix(layer="layer2")
    method.attach(net)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam([
        dict(params=[*net.parameters(), *method.head_mix.parameters()], lr=0.01),
        dict(params=method.block.parameters(), lr=0.03)])

    def spread():
        images, _ = patches(64, 16, torch.Generator().manual_seed(1))
        mask = method.details(images, draws_for(method, 64, lam=0.5))["mask"]
        return mask.flatten(1).std(1).mean()

    assert spread() < 1e-3
    for step in range(300):
        images, labels = patches(16, 16, generator)
        loss = method.loss(net, images, labels, cross_entropy, method.draw(16, (16, 16), generator), step / 300)
        optimizer.zero_grad()
        loss["loss"].backward()
        optimizer.step()
        method.after_step(net, step / 300)
    assert loss["loss_one_q"] < 0.1
    assert spread() > 0.05
