"""MixUp against plain loops, closed forms and torchvision."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.transforms import v2

from openmix.mixups import CutMix, MixUp, RandomChoice, RegMixup, SUMix
from openmix.mixups.mixup import within_classes


def draws_of(method, n=1, steps=20000, seed=0):
    return method.draw(n, (32, 32), torch.Generator().manual_seed(seed), steps=(steps,))


@pytest.mark.parametrize("per_sample", [False, True])
def test_images_and_targets_equal_a_plain_loop(per_sample, make_batch):
    images, labels = make_batch(5, (6, 9))
    method = MixUp(0.7, per_sample=per_sample)
    draws = method.draw(5, (6, 9), torch.Generator().manual_seed(1))
    mixed, target = method(images, labels, draws)
    for i in range(5):
        lam, j = draws["lam"][i if per_sample else 0].item(), (i - 1) % 5
        for c in range(3):
            for row in range(6):
                for column in range(9):
                    value = lam * images[i, c, row, column].item() + (1 - lam) * images[j, c, row, column].item()
                    assert mixed[i, c, row, column].item() == pytest.approx(value, abs=1e-5)
        assert target.label[i].tolist() == [labels[i], labels[j]]
        assert target.weight[i].tolist() == pytest.approx([lam, 1 - lam])


def test_equals_torchvision_for_the_same_lam(make_batch, monkeypatch):
    images, labels = make_batch()
    monkeypatch.setattr(v2.MixUp, "make_params", lambda self, inputs: dict(lam=0.3))
    expected, probabilities = v2.MixUp(num_classes=10)(images, labels)
    mixed, target = MixUp(num_classes=10)(images, labels, dict(lam=torch.tensor([0.3])))
    assert torch.allclose(mixed, expected, atol=1e-6)
    assert torch.allclose(target, probabilities, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_lam_has_the_moments_of_beta(alpha):
    lam = draws_of(MixUp(alpha))["lam"]
    variance = 1 / (4 * (2 * alpha + 1))
    assert lam.mean() == pytest.approx(0.5, abs=4 * math.sqrt(variance / 20000))
    assert lam.var() == pytest.approx(variance, rel=0.05)


def test_tiny_alpha_picks_one_image_and_huge_alpha_halves():
    coin = draws_of(MixUp(0.001))["lam"]
    assert (torch.minimum(coin, 1 - coin) < 0.01).float().mean() > 0.98
    assert coin.mean() == pytest.approx(0.5, abs=0.02)
    assert (draws_of(MixUp(1e5))["lam"] - 0.5).abs().max() < 0.01


@pytest.mark.parametrize("shape", [(7,), (7, 11), (3, 5, 6, 7)], ids=["table", "spectrogram", "video"])
def test_any_trailing_dimensions_are_mixed(shape):
    values, labels = torch.randn(4, *shape), torch.arange(4)
    mixed, target = MixUp(per_sample=True)(values, labels)
    for i in range(4):
        lam = target.weight[i, 0]
        assert torch.allclose(mixed[i], lam * values[i] + (1 - lam) * values[i - 1], atol=1e-6)


def test_a_batch_shares_lam_unless_each_image_asks_for_its_own():
    assert draws_of(MixUp(), n=8)["lam"].shape == (20000, 1)
    each = draws_of(MixUp(per_sample=True), n=8, steps=2000)["lam"]
    assert each.shape == (2000, 8)
    correlation = torch.corrcoef(each.T) - torch.eye(8)
    assert correlation.abs().max() < 5 / math.sqrt(2000)


def test_every_image_counts_with_its_own_lam_in_the_loss(make_batch, criterion):
    """A scalar mean loss times the mean of lam is another number (OpenMixup's hard-label heads)."""
    images, labels = make_batch(6)
    logits = torch.randn(6, 10, generator=torch.Generator().manual_seed(0)) * 3
    method = MixUp(0.3, per_sample=True)
    draws = method.draw(6, (32, 32), torch.Generator().manual_seed(1))
    loss = method.loss(lambda mixed: logits, images, labels, criterion, draws)["loss"]
    lam, own, other = draws["lam"], *(F.cross_entropy(logits, y, reduction="none") for y in (labels, labels.roll(1)))
    assert loss == pytest.approx((lam * own + (1 - lam) * other).mean().item(), abs=1e-5)
    collapsed = lam.mean() * own.mean() + (1 - lam.mean()) * other.mean()
    assert abs(loss - collapsed) > 0.01


def test_the_global_numpy_generator_plays_no_part(make_batch):
    images, labels = make_batch()
    actual = []
    for seed in (0, 1):
        np.random.seed(seed)
        torch.manual_seed(0)
        actual.append(MixUp()(images, labels)[0])
    assert torch.equal(*actual)


# -- the paper's ablation: partners of the same class, the label of the nearer image -------------------------------


def test_partners_within_a_class_are_a_permutation_of_each_class():
    labels = torch.tensor([2, 0, 1, 2, 0, 2, 2, 0, 3, 1])
    own = torch.zeros(10)
    for seed in range(2000):
        noise = torch.rand(10, generator=torch.Generator().manual_seed(seed))
        index = within_classes(labels, noise)
        assert torch.equal(labels[index], labels) and index.sort().values.tolist() == list(range(10))
        own += index == torch.arange(10)
        assert torch.equal(index, within_classes(torch.eye(4)[labels], noise)), "probabilities: the greatest counts"
    size = labels.bincount()[labels]  # a random permutation of k leaves each in its place with chance 1 / k
    assert (own / 2000 - 1 / size).abs().max() < 0.05 and own[8] == 2000


@pytest.mark.parametrize("per_sample", [False, True])
def test_partner_class_mixes_images_of_one_class_and_leaves_the_labels(per_sample, make_batch):
    images, _ = make_batch(8)
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 2, 0])
    method = MixUp(0.7, partner="class", per_sample=per_sample)
    draws = method.draw(8, (32, 32), torch.Generator().manual_seed(3))
    mixed, target = method(images, labels, draws)
    details = method.details(images, draws, labels=labels)
    assert torch.equal(labels[details["partner"]], labels) and torch.equal(mixed[6], images[6])
    for i, j in enumerate(details["partner"].tolist()):
        lam = draws["lam"][i if per_sample else 0]
        assert torch.allclose(mixed[i], lam * images[i] + (1 - lam) * images[j], atol=1e-6)
    assert torch.allclose(target.dense(3), torch.eye(3)[labels])
    assert details["partner"].tolist() != list(range(8))
    with pytest.raises(ValueError, match="labels=labels"):
        method.details(images, draws)


def test_partner_class_holds_for_the_part_of_a_batch_that_a_rank_has(make_batch):
    method, (images, _) = MixUp(partner="class"), make_batch(8)
    labels = torch.tensor([0, 1, 0, 1, 0, 1, 1, 0])
    draws = method.draw(8, (32, 32), torch.Generator().manual_seed(0))
    part = {k: v[4:] if len(v) == 8 else v for k, v in draws.items()}
    partner = method.details(images[4:], part, labels=labels[4:])["partner"]
    assert torch.equal(labels[4:][partner], labels[4:]) and partner.sort().values.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("options", [{}, dict(per_sample=True), dict(prob=0.5, per_sample=True), dict(partner="class")])
def test_labels_nearer_are_those_of_the_larger_share(options, make_batch):
    images, labels = make_batch(6)
    labels = torch.arange(6) // 2
    method, plain = MixUp(labels="nearer", **options), MixUp(**options)
    for seed in range(8):
        draws = method.draw(6, (32, 32), torch.Generator().manual_seed(seed))
        mixed, target = method(images, labels, draws)
        same, soft = plain(images, labels, draws)
        assert torch.equal(mixed, same), "the images are mixed all the same"
        own = soft.weight[:, 0] >= 0.5
        expected = torch.where(own, target.label[:, 0], target.label[:, 1])
        assert torch.equal(target.dense(3), torch.eye(3)[expected]) and torch.equal(target.label, soft.label)
        details = method.details(images, draws, labels=labels)
        assert torch.equal(details["lam"], target.weight[:, 0])


@pytest.mark.parametrize("lam, own", [(0.499, False), (0.5, True), (0.501, True)])
def test_labels_nearer_flip_at_one_half(lam, own, make_batch):
    images, labels = make_batch(3)
    target = MixUp(labels="nearer")(images, labels, dict(lam=torch.tensor([lam])))[1]
    assert target.weight.tolist() == [[float(own), float(not own)]] * 3


def test_mean_share_of_the_nearer_image_is_that_of_the_closed_form():
    """E max(lam, 1 - lam) = 1/2 + 1 / (4^a a B(a, a))."""
    for alpha, law in ((0.2, 0.8988), (1.0, 0.75), (8.0, 0.5982)):
        lam = draws_of(MixUp(alpha))["lam"]
        assert torch.maximum(lam, 1 - lam).mean().item() == pytest.approx(law, abs=0.005)


# -- the paper's ablation: nearest neighbours from elsewhere in the training set -----------------------------------


@pytest.fixture
def elsewhere(make_batch):
    """Images and labels, and draws that hold other images for each."""
    images, labels = make_batch(6, (8, 8))
    others, theirs = images.flip(0) + 1, labels.flip(0)

    def make(method, seed=3):
        draws = method.draw(6, (8, 8), torch.Generator().manual_seed(seed))
        return images, labels, dict(draws, partner_images=others, partner_labels=theirs)
    return make


@pytest.mark.parametrize("partner", ["knn", "class_knn"])
@pytest.mark.parametrize("options", [{}, dict(per_sample=True), dict(prob=0.5, per_sample=True), dict(mix_rate=0.5),
                                     dict(labels="nearer"), dict(num_classes=10)], ids=str)
def test_neighbours_are_mixed_as_the_partners_of_a_batch_are(partner, options, elsewhere):
    """The same images as partners, once in the batch and once handed over."""
    method, plain = MixUp(0.7, partner=partner, **options), MixUp(0.7, **options)
    images, labels, draws = elsewhere(method)
    before = draws["partner_images"].clone()
    mixed, target = method(images, labels, draws)
    for i in range(6):
        pair, classes = torch.stack([images[i], before[i]]), torch.stack([labels[i], draws["partner_labels"][i]])
        own = {k: (v[i:i + 1] if len(v) == 6 else v).expand(2) for k, v in draws.items() if "partner" not in k}
        expected, soft = plain(pair, classes, own)  # of two images, each is the partner of the other
        assert torch.equal(mixed[i], expected[0])
        dense, right = (t if isinstance(t, torch.Tensor) else t.dense(10) for t in (target, soft))
        assert torch.equal(dense[i], right[0])
    assert torch.equal(draws["partner_images"], before), "what is handed over was written to"
    details = method.details(images, draws)
    assert details["sources"].tolist() == [[i, -1] for i in range(6)] and not method.permutes
    assert torch.allclose(details["masks"].sum(1), torch.ones(()))
    assert method.neighbours == dict(k=200, same_class=partner == "class_knn")


def test_without_neighbours_the_error_says_how_to_hand_them_over(elsewhere):
    method = MixUp(partner="knn", k=5)
    images, labels, draws = elsewhere(method)
    for wrong in (None, {k: v for k, v in draws.items() if k != "partner_images"}):
        with pytest.raises(ValueError, match="in your own loop add them to the draws.*partner_labels=.*neighbours"):
            method(images, labels, wrong)
    with pytest.raises(ValueError, match=r"partner_images must have the shape of the images, \(6, 3, 8, 8\)"):
        method(images, labels, {**draws, "partner_images": images[:, :1]})


def test_wrappers_hand_neighbours_on_and_refuse_two_kinds(elsewhere, criterion):
    method = MixUp(partner="knn")
    images, labels, draws = elsewhere(method)
    choice = RandomChoice([CutMix(), method, CutMix()])
    assert choice.neighbours == RegMixup(method).neighbours == method.neighbours
    inside = choice.draw(6, (8, 8), torch.Generator().manual_seed(0))
    inside |= {"choice": 1, "1": {"lam": draws["lam"]}, **{k: v for k, v in draws.items() if "partner" in k}}
    assert torch.equal(choice(images, labels, inside)[0], method(images, labels, draws)[0])
    assert torch.equal(RegMixup(method)(images, labels, draws)[0], method(images, labels, draws)[0])
    with pytest.raises(ValueError, match="share neighbours of one kind"):
        RandomChoice([method, MixUp(partner="class_knn")])
    with pytest.raises(ValueError, match="the partner must be of the batch"):
        SUMix(method)


# -- a share of the batch ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate, n, count", [(0.7, 10, 7), (0.29, 100, 29), (0.5, 5, 2), (0, 4, 0), (1, 4, 4)])
@pytest.mark.parametrize("method", [MixUp, CutMix], ids=lambda method: method.__name__)
def test_mix_rate_mixes_exactly_so_many_images_and_their_labels(method, rate, n, count, make_batch):
    images, _ = make_batch(n)
    labels, actual = torch.arange(n), []
    method = method(5.0, mix_rate=rate)
    for seed in range(3):
        mixed, target = method(images, labels, method.draw(n, (32, 32), torch.Generator().manual_seed(seed)))
        changed = (mixed != images).flatten(1).any(1)
        assert changed.sum() == count and torch.equal(target.weight[:, 0] < 1, changed)
        assert len(target.weight[changed, 0].unique()) <= 1, "one lam a batch"
        actual.append(changed.tolist())
    assert count in (0, n) or actual[0] != actual[1] or actual[1] != actual[2], "others each time"


def test_mix_rate_and_prob_are_independent():
    method = MixUp(mix_rate=0.5, prob=0.4, per_sample=True)
    on = method.draw(10, (8, 8), torch.Generator().manual_seed(0), steps=(4000,))["on"]
    assert on.float().mean().item() == pytest.approx(0.2, abs=0.01) and on.sum(1).max() <= 5


@pytest.mark.parametrize("options, match", [
    (dict(partner="far"), "partner must be one of"), (dict(labels="far"), "labels must be one of"),
    (dict(partner="class", pairing="roll"), "permutation inside each class"), (dict(mix_rate=1.5), "mix_rate"),
    (dict(mix_rate=-0.1), "mix_rate"), (dict(partner="knn", k=0), "k must be"), (dict(k=5), "k counts the neighbours"),
    (dict(partner="class_knn", pairing="roll"), "leave pairing out")])
def test_options_that_are_none_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        MixUp(**options)


@pytest.mark.parametrize("alpha", [0, -1.0, math.inf, math.nan, "1", None, True])
def test_alpha_must_be_positive_and_finite(alpha):
    with pytest.raises(ValueError, match="alpha must be a positive number.*Vanilla"):
        MixUp(alpha)
