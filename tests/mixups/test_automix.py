import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.mixups import AutoMix, CutMix, ManifoldMix, MixUp, RandomChoice
from openmix.mixups.mixblock import MixBlock
from openmix.target import Target

SIZE = (32, 32)


@pytest.fixture
def pair(make_net):
    """``pair(**options)``: an AutoMix attached to a TinyNet, and the net; equal each time."""
    def build(**options):
        net, method = make_net(), AutoMix(**options)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            method.attach(net)
            for layer in (method.block.query, method.block.value):  # masks that differ from pixel to pixel
                nn.init.normal_(layer.weight, std=0.5)
        return method, net
    return build


def cross_entropy(logits, target):
    dense = target.dense(logits.shape[1]) if isinstance(target, Target) else target
    return F.cross_entropy(logits.float(), dense)


def draws_for(method, n=6, seed=0, **fixed):
    draws = method.draw(n, SIZE, torch.Generator().manual_seed(seed))
    return {**draws, **{name: torch.full_like(draws[name], value) for name, value in fixed.items()}}


def trainable(method, net):
    return [p for p in [*net.parameters(), *method.parameters()] if p.requires_grad]


def parameters_and_buffers(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# -- the block ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels, lam_concat, count", [
    (256, False, 33_153), (1024, False, 525_825), (256, True, 33_153 + 129), (1024, True, 525_825 + 513)])
def test_parameter_counts_of_the_block_are_the_published_ones(channels, lam_concat, count):
    assert sum(p.numel() for p in MixBlock(channels, lam_concat).parameters()) == count


def slow_mask(block, first, second, lam, factor):
    """Share kept of the first image, pixel by pixel as the formula is written; one example (C, h, w)."""
    c, h, w = first.shape
    weight, bias = block.query.weight.flatten(1), block.query.bias
    value, offset = block.value.weight.flatten(), block.value.bias
    extra = ([lam], [1 - lam]) if block.lam_concat else ([], [])
    a = [torch.cat([first[:, y, x], torch.tensor(extra[0])]) for y in range(h) for x in range(w)]
    b = [torch.cat([second[:, y, x], torch.tensor(extra[1])]) for y in range(h) for x in range(w)]
    shares = []
    for here in a:
        scores = torch.stack([(weight @ here + bias) @ (weight @ there + bias) for there in b]) / (c // 2) ** 0.5
        attention = scores.exp() / scores.exp().sum()
        logit_of_second = sum(p * (value @ there + offset) for p, there in zip(attention, b, strict=True))
        shares.append((1 - torch.sigmoid(logit_of_second)).item())
    small = torch.tensor(shares).reshape(h, w)
    return torch.stack([small[y // factor, x // factor] for y in range(h * factor) for x in range(w * factor)])


@pytest.mark.parametrize("lam_concat", [False, True])
def test_masks_are_those_of_the_formula(lam_concat):
    block = MixBlock(6, lam_concat)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    first, second, lam = torch.randn(3, 6, 2, 3), torch.randn(3, 6, 2, 3), torch.tensor([0.1, 0.5, 0.8])
    masks = block(first, second, lam, (8, 12))
    assert masks.shape == (3, 1, 8, 12)
    with torch.no_grad():
        for i in range(3):
            expected = slow_mask(block, first[i], second[i], lam[i].item(), 4)
            assert torch.allclose(masks[i].flatten(), expected, atol=1e-5)


def test_masks_start_near_one_half(make_net, make_batch):
    method = AutoMix()
    method.attach(make_net())
    mask = method.details(make_batch()[0], draws_for(method, lam=0.7))["mask"]
    assert 0 < (mask - 0.5).abs().max() <= 0.02


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_masks_are_float32_and_finite_under_autocast(dtype):
    block = MixBlock(256)
    first, second = (300 * torch.randn(2, 2, 256, 8, 8)).to(dtype)
    nn.init.normal_(block.query.weight)  # scores beyond the range of float16
    lam = torch.tensor([0.2, 0.9])
    with torch.autocast("cpu", dtype):
        masks = block(first, second, lam, SIZE)
        outside = block(first.float(), second.float(), lam, SIZE)
    assert masks.dtype == torch.float32 and masks.isfinite().all() and torch.equal(masks, outside)
    masks.sum().backward()
    assert all(p.grad.isfinite().all() for p in block.parameters())


# -- lam and the mask --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lam_concat", [False, True])
def test_defect_ledger_row_11_the_mask_depends_on_lam_if_and_only_if_the_block_sees_it(lam_concat, pair, make_batch):
    method, _ = pair(lam_concat=lam_concat)
    images, _ = make_batch()
    low, high = (method.details(images, draws_for(method, lam=lam))["mask"] for lam in (0.1, 0.9))
    assert torch.equal(low, high) is not lam_concat


def test_lam_is_shown_to_the_block_by_default():
    assert AutoMix().lam_concat is True


@pytest.mark.parametrize("per_sample", [False, True])
def test_a_lam_near_0_or_1_is_plain_mixup_for_the_classifier_alone(per_sample, pair, make_batch):
    method, _ = pair(per_sample=per_sample)
    images, _ = make_batch()
    for lam, plain in ((0.03, True), (0.0801, False), (0.5, False), (0.9199, False), (0.97, True)):
        draws = draws_for(method, lam=lam, lam_block=lam)
        (mask, weight), (mask_block, _) = method.masks(method.features(images), draws, SIZE)
        assert torch.equal(weight, torch.full((6,), lam))
        assert torch.equal(mask, torch.full_like(mask, lam)) is plain
        assert mask_block.std() > 0 and mask_block.requires_grad and not mask.requires_grad


def test_one_lam_an_image_gives_each_its_own_mask_and_weight(pair, make_batch):
    method, net = pair(per_sample=True, mask_loss_per="sample", margin=0.0)
    images, labels = make_batch()
    draws = draws_for(method)
    assert draws["lam"].shape == draws["lam_block"].shape == (6,) and draws["lam"].unique().numel() == 6
    whole = method.details(images, draws)["mask"]
    for i in range(6):  # only image i keeps its lam: only its mask stays
        changed = {**draws, "lam": torch.where(torch.arange(6) == i, draws["lam"], 0.45)}
        same_mask = (method.details(images, changed)["mask"] == whole).flatten(1).all(1)
        assert same_mask.tolist() == [j == i for j in range(6)]
    _, (mask, lam) = method.masks(method.features(images, keep_statistics=True), draws, SIZE)
    expected = sum(abs(mask[i].mean() - lam[i]) for i in range(6)) / 6
    assert torch.allclose(method.mask_error(mask, lam), expected)


def test_the_mask_loss_is_the_published_one(pair):
    method, _ = pair()
    lam, mask = torch.full((2,), 0.3), torch.stack([torch.full((1, 4, 4), 0.2), torch.full((1, 4, 4), 0.9)])
    # share of the partner m = 1 - mask: max(|1 - mean(m) - lam| - 0.1, 0) over the whole batch
    assert method.mask_error(mask, lam).item() == pytest.approx(abs(1 - 0.45 - 0.3) - 0.1)
    assert method.mask_error(mask - 0.25, lam).item() == 0
    assert pair(mask_loss_per="sample")[0].mask_error(mask, lam).item() == pytest.approx((0 + 0.5) / 2)


def test_the_mask_loss_can_fall_to_zero_along_the_run(pair, make_batch):
    images, labels = make_batch()
    found = []
    for progress in (0.0, 0.5, 1.0):
        method, net = pair(anneal_mask_loss=True, margin=0.0)
        found.append(method.loss(net, images, labels, cross_entropy, draws_for(method), progress)["loss_mask"].item())
    assert found[0] > 0 and found[1] == pytest.approx(found[0] / 2) and found[2] == pytest.approx(0)


# -- a step ------------------------------------------------------------------------------------------------------


def test_the_four_losses_are_the_published_ones(pair, make_batch):
    """Written out with plain passes of copies: the features, the two pairings, the two heads."""
    method, net = pair()
    images, labels = make_batch()
    draws = draws_for(method, lam=0.3, lam_block=0.6)
    student, teacher, block = copy.deepcopy(net), copy.deepcopy(method.teacher), copy.deepcopy(method.block)

    def body(net, x, upto=4):
        x = net.stem(x)
        for i in range(1, upto + 1):
            x = getattr(net, f"layer{i}")(x)
        return x if upto < 4 else x.mean((2, 3))

    def mixture(logits, k, lam):
        own, other = (F.cross_entropy(logits, torch.stack([y[i - shift] for i in range(6)]))
                      for y, shift in ((labels, 0), (labels, k)))
        return lam * own + (1 - lam) * other

    def mix(x, mask, k):
        return torch.stack([mask[i] * x[i] + (1 - mask[i]) * x[i - k] for i in range(6)])

    seen = body(teacher, images, upto=3)
    mask_q, mask_k = (block(seen, torch.stack([seen[i - k] for i in range(6)]), torch.full((6,), lam), SIZE)
                      for k, lam in ((1, 0.3), (2, 0.6)))
    expected = dict(
        loss_one_q=F.cross_entropy(student.fc(body(student, images)), labels),
        loss_mix_q=mixture(method.head_mix(body(student, mix(images, mask_q, 1))), 1, 0.3),
        loss_mix_k=mixture(method.head_mix_k(body(teacher, mix(images, mask_k, 2))), 2, 0.6),
        loss_mask=0.1 * F.relu((mask_k.mean() - 0.6).abs() - 0.1),
    )
    losses = method.loss(net, images, labels, cross_entropy, draws)
    for name, value in expected.items():
        assert torch.allclose(losses[name], value, atol=1e-5), name
        assert not losses[name].requires_grad
    assert torch.allclose(losses["loss"], sum(expected.values()), atol=1e-5)
    assert list(losses) == ["loss", "loss_one_q", "loss_mix_q", "loss_mix_k", "loss_mask"]
    details = method.details(images, draws)
    assert torch.allclose(details["mask"], mask_q, atol=1e-6) and details["lam"].tolist() == [pytest.approx(0.3)] * 6
    assert details["partner"].tolist() == [5, 0, 1, 2, 3, 4]


def test_the_losses_of_the_block_leave_the_gradient_of_the_classifier_bit_equal(pair, make_batch):
    """Disabled: the block frozen, so that mix_k and the mask loss have nothing to train; enabled: a huge mask loss."""
    gradients, images_labels = [], make_batch()
    for enabled in (True, False):
        method, net = pair(mask_loss=1000.0 if enabled else 0.0, margin=0.0)
        method.block.requires_grad_(enabled)
        losses = method.loss(net, *images_labels, cross_entropy, draws_for(method))
        if not enabled:
            assert losses["loss_mask"] == 0
        losses["loss"].backward()
        assert all((p.grad is not None) is enabled for p in method.block.parameters())
        gradients.append({f"net.{k}": p.grad for k, p in net.named_parameters()}
                         | {f"head.{k}": p.grad for k, p in method.head_mix.named_parameters()})
    assert same(*gradients)


def test_every_trainable_parameter_gets_a_gradient_and_the_teacher_none(pair, make_batch):
    method, net = pair(margin=0.0)
    method.loss(net, *make_batch(), cross_entropy, draws_for(method))["loss"].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in trainable(method, net))
    teacher = [*method.teacher.parameters(), *method.head_mix_k.parameters()]
    assert teacher and all(p.grad is None and not p.requires_grad for p in teacher)
    names = {name.split(".")[0] for name, p in method.named_parameters() if p.requires_grad}
    assert names == {"block", "head_mix"}


def test_after_one_step_with_momentum_0_the_teacher_is_the_student(pair, make_batch):
    method, net = pair(momentum=0.0)
    optimizer = torch.optim.SGD(trainable(method, net), 0.5)
    method.loss(net, *make_batch(), cross_entropy)["loss"].backward()
    before = parameters_and_buffers(method.teacher)
    optimizer.step()
    method.after_step(net, 0.0)
    student = dict(net.named_parameters())
    assert same(dict(method.teacher.named_parameters()), student)
    assert same(dict(method.head_mix_k.named_parameters()), dict(method.head_mix.named_parameters()))
    assert not torch.equal(before["fc.weight"], student["fc.weight"])


def test_the_momentum_is_that_of_the_schedule(pair):
    for progress, momentum in ((0.0, 0.5), (0.09, 0.5), (0.5, 0.7), (1.0, 0.9)):
        method, net = pair(momentum=0.5, momentum_end=0.9)
        old = parameters_and_buffers(method.teacher)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(1)
        for form in (progress, torch.tensor(progress)):
            twin = copy.deepcopy(method)
            twin.after_step(net, form)
            for name, parameter in twin.teacher.named_parameters():
                assert torch.allclose(parameter, old[name] + 1 - momentum, atol=1e-5)


def test_batch_norm_statistics_of_the_teacher_come_from_its_own_passes(pair, make_batch):
    method, net = pair(momentum=0.0)
    images, labels = make_batch()
    net.stem[0].weight.data.mul_(3)  # the networks differ, so do their statistics
    method.loss(net, images, labels, cross_entropy)
    assert method.teacher.stem[1].num_batches_tracked == net.stem[1].num_batches_tracked == 2
    before = dict(parameters_and_buffers(method.teacher))
    method.after_step(net, 0.0)
    for name, buffer in method.teacher.named_buffers():
        assert torch.equal(buffer, before[name])
    assert not torch.allclose(method.teacher.stem[1].running_var, net.stem[1].running_var)


def test_the_batch_is_seen_by_the_teacher_once_before_and_once_after_mixing(pair, make_batch):
    method, net = pair()
    seen = dict(net=[], teacher=[])
    for name, module in (("net", net), ("teacher", method.teacher)):
        module.register_forward_pre_hook(lambda module, inputs, name=name: seen[name].append(inputs[0]))
    images, labels = make_batch()
    method.loss(net, images, labels, cross_entropy)
    for name in seen:
        assert len(seen[name]) == 2 and torch.equal(seen[name][0], images)
    assert seen["teacher"][1].requires_grad and not seen["net"][1].requires_grad


def test_evaluating_and_details_change_no_buffer(pair, make_batch):
    method, net = pair()
    images, labels = make_batch()
    before = parameters_and_buffers(method), parameters_and_buffers(net)
    draws = draws_for(method)
    method.details(images, draws)
    net.eval(), method.eval()
    with torch.no_grad():
        for network in method.networks(net).values():
            network(images)
    method.details(images, draws)
    assert same(before[0], parameters_and_buffers(method)) and same(before[1], parameters_and_buffers(net))


def test_prob_leaves_the_classifier_alone_and_the_block_at_work(pair, make_batch):
    images, labels = make_batch()
    method, net = pair(prob=0.5, per_sample=True, margin=0.0)
    on = torch.tensor([True, False, True, False, False, True])
    draws = {**draws_for(method, lam=0.5), "on": on}
    details = method.details(images, draws)
    assert details["lam"].tolist() == [0.5, 1, 0.5, 1, 1, 0.5]
    assert (details["mask"] == 1).flatten(1).all(1).tolist() == (~on).tolist()
    losses = method.loss(net, images, labels, cross_entropy, {**draws, "on": torch.zeros(6, dtype=torch.bool)})
    twin = pair()[1]
    twin(images)
    assert torch.allclose(losses["loss_mix_q"], cross_entropy(
        method.head_mix(twin.layer4(twin.layer3(twin.layer2(twin.layer1(twin.stem(images))))).mean((2, 3))),
        F.one_hot(labels, 10).float()), atol=1e-5)
    losses["loss"].backward()
    assert all(p.grad.abs().sum() > 0 for p in method.block.parameters())


def test_random_pairings_are_two_independent_ones(pair, make_batch):
    method, net = pair(pairing="perm")
    images, labels = make_batch()
    draws = draws_for(method)
    order = draws["order"].argsort(0)
    assert draws["order"].shape == (6, 2) and not torch.equal(order[:, 0], order[:, 1])
    assert torch.equal(method.details(images, draws)["partner"], order[:, 0])
    targets = []
    method.loss(net, images, labels, lambda logits, t: targets.append(t) or cross_entropy(logits, t), draws)
    for target, k in zip(targets[1:], (0, 1), strict=True):
        assert torch.equal(target.label[:, 1], labels[order[:, k]])


# -- networks, state, other architectures ------------------------------------------------------------------------


def test_the_four_networks_are_named_in_order_share_their_parts_and_publish(pair, make_net, make_batch):
    method, net = pair()
    images, labels = make_batch()
    with torch.no_grad():
        for parameter in [*net.parameters(), *method.head_mix.parameters()]:
            parameter.add_(0.1 * torch.randn_like(parameter))
    owner = nn.ModuleDict(dict(net=net, mixup=method))
    keys = list(owner.state_dict())
    networks = method.networks(net)
    owner.eval()
    assert list(networks) == ["mix_k", "one_k", "mix_q", "one_q"] and list(owner.state_dict()) == keys
    logits = {name: network(images) for name, network in networks.items()}
    for body, names in ((method.teacher, ("mix_k", "one_k")), (net, ("mix_q", "one_q"))):
        seen = []
        handle = body.fc.register_forward_pre_hook(lambda module, inputs, seen=seen: seen.append(inputs[0]))
        body(images)
        handle.remove()
        for name, head in zip(names, (method.head_mix_k if body is method.teacher else method.head_mix, body.fc),
                              strict=True):
            assert torch.allclose(logits[name], head(seen[0]), atol=1e-6)
    for name, network in networks.items():
        plain = make_net(seed=1)
        plain.load_state_dict(network.state_dict())
        assert torch.equal(plain.eval()(images), logits[name])
    assert len({value.sum().item() for value in logits.values()}) == 4


def test_a_run_continued_from_copies_or_state_dicts_is_bit_equal(pair, make_net, make_batch):
    def steps(method, net, optimizer, seeds):
        for seed in seeds:
            loss = method.loss(net, *make_batch(seed=seed), cross_entropy, draws_for(method, seed=seed), seed / 4)
            optimizer.zero_grad()
            loss["loss"].backward()
            optimizer.step()
            method.after_step(net, seed / 4)
        return {**parameters_and_buffers(method), **parameters_and_buffers(net)}

    method, net = pair()
    steps(method, net, torch.optim.SGD(trainable(method, net), 0.1), (0, 1))
    copied_method, copied_net = copy.deepcopy((method, net))
    fresh_net, fresh = make_net(seed=5), AutoMix()
    fresh.attach(fresh_net)
    fresh_net.load_state_dict(net.state_dict())
    fresh.load_state_dict(method.state_dict())
    expected = steps(method, net, torch.optim.SGD(trainable(method, net), 0.1), (2, 3))
    for m, n in ((copied_method, copied_net), (fresh, fresh_net)):
        assert same(expected, steps(m, n, torch.optim.SGD(trainable(m, n), 0.1), (2, 3)))


def test_attaching_again_lets_the_teacher_equal_the_network_anew(pair, make_net):
    method, net = pair()
    modules = list(method.children())
    net.load_state_dict(make_net(seed=3).state_dict())
    assert not torch.equal(method.teacher.fc.weight, net.fc.weight)
    method.attach(net)
    assert same(method.teacher.state_dict(), net.state_dict())
    assert all(a is b for a, b in zip(method.children(), modules, strict=True))
    assert all(not p.requires_grad for p in method.teacher.parameters())


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


class Tokens(nn.Module):
    """Patches of 8 x 8 of a 32 x 32 image, a class token, encoder blocks."""

    def __init__(self, width=12):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.cls = nn.Parameter(torch.zeros(1, 1, width))
        self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=True)
                                    for _ in range(2))
        self.fc = nn.Linear(width, 10)

    def forward(self, images):
        assert images.shape[2:] == SIZE
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x)
        return self.fc(x[:, 0])


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


def test_a_compiled_network_gives_the_losses_of_the_eager_one(pair, make_batch):
    (method, net), (other, twin) = pair(), pair()
    compiled = torch.compile(twin, backend="eager")
    for seed in range(2):
        expected = method.loss(net, *make_batch(), cross_entropy, draws_for(method, seed=seed))
        found = other.loss(compiled, *make_batch(), cross_entropy, draws_for(method, seed=seed))
        assert all(torch.allclose(found[name], value, atol=1e-6) for name, value in expected.items())
        other.after_step(compiled, 0.5), method.after_step(net, 0.5)
    assert list(other.networks(compiled)["mix_q"].state_dict()) == list(twin.state_dict())


def test_mistakes_are_told_with_a_way_out(make_net, make_batch):
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
    optimizer, found = torch.optim.Adam(method.block.parameters(), 0.02), []
    for _ in range(60):
        losses = method.loss(net, images, labels, cross_entropy, draws)
        found.append((losses["loss_mix_k"] + losses["loss_mask"]).item())
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    assert sum(found[-10:]) / 10 < sum(found[:10]) / 10 - 0.02, found[::10]


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
