"""TransMix: label weights are half area, half attention."""
import pytest
import torch

from openmix import attention
from openmix.mixups import MixUp, RandomChoice, TransMix
from openmix.target import Target
from tests.mixups.contract import generator, trace

BOX = torch.tensor([[0, 16, 0, 32]])  # the upper half is the partner's


def pointed(net, place):
    """``net`` whose class token attends to the patch ``place`` alone: its key is far along the query."""
    with torch.no_grad():
        net.pos_embed.zero_()
        net.pos_embed[:, 1 + place, 0] = 100
        net.patch.weight.zero_()
        net.patch.bias.zero_()
        net.cls_token.zero_()
        for block in (net.layer1, net.layer2):
            block[1].qkv.weight.zero_()
            block[1].qkv.bias.zero_()
            block[1].qkv.bias[:16] = 50  # every query
            block[1].qkv.weight[16:32, 0] = 50  # keys follow the first channel
    return net


def lam_of(net, draws, images, labels, criterion, **options):
    method = TransMix(**options)
    method.attach(net)
    (target, _), = trace(method, net, images, labels, criterion, draws)[2]
    assert isinstance(target, Target) and torch.equal(target.label, torch.stack([labels, labels.roll(1)], 1))
    return target.weight[:, 0]


def test_uniform_attention_gives_the_area(make_net, make_batch, criterion):
    net, draws = make_net(needs="attention"), dict(lam=torch.tensor([0.3]), box=torch.tensor([[0, 8, 0, 24]]))
    with torch.no_grad():
        net.layer2[1].qkv.weight[:32].zero_()
    lam = lam_of(net, draws, *make_batch(4), criterion)
    assert torch.allclose(lam, torch.full((4,), 1 - 8 * 24 / 1024))


@pytest.mark.parametrize("place, share", [(0, 0.0), (15, 1.0)])
def test_attention_on_one_side_gives_it_a_half_beside_the_area(place, share, make_net, make_batch, criterion):
    net, draws = pointed(make_net(needs="attention"), place), dict(lam=torch.tensor([0.5]), box=BOX)
    for weight in (0.5, 1.0, 0.0):
        lam = lam_of(net, draws, *make_batch(4), criterion, attention_share=weight)
        assert torch.allclose(lam, torch.full((4,), weight * share + (1 - weight) * 0.5), atol=1e-5)


def test_lam_is_the_papers_formula_on_uneven_attention_of_each_image(make_net, make_batch, criterion):
    net, (images, labels) = make_net(needs="attention"), make_batch(4)
    draws = dict(lam=torch.tensor([0.5]), box=torch.tensor([[4, 23, 9, 30]]))
    lam = lam_of(net, draws, images, labels, criterion)
    mixed = images.clone()
    mixed[:, :, 4:23, 9:30] = images.roll(1, 0)[:, :, 4:23, 9:30]
    a = attention.attention(net, ["layer2.1"], lambda: net(mixed))[0][:, 0, 1:]
    for i in range(4):
        kept = sum(a[i, 4 * r + c] for r in range(4) for c in range(4)
                   if not (4 <= 8 * r < 23 and 9 <= 8 * c < 30)) / a[i].sum()
        assert lam[i].item() == pytest.approx(0.5 * (1 - 19 * 21 / 1024) + 0.5 * kept.item(), abs=1e-5)
    assert lam.std() > 1e-4 and not lam.requires_grad


def test_the_network_runs_once_a_step(make_net, make_batch, criterion):
    net, method = make_net(needs="attention"), TransMix()
    method.attach(net)
    assert len(trace(method, net, *make_batch(4), criterion, method.draw(4, (32, 32), generator()))[1]) == 1


def test_the_recipe_of_the_paper_chooses_among_two_methods(make_net, make_batch, criterion):
    choice = RandomChoice([TransMix(), MixUp(alpha=0.8)], p=[0.8, 0.2])
    assert choice.needs == "attention"
    net = make_net(needs="attention")
    choice.attach(net)
    for seed in range(6):
        assert choice.loss(net, *make_batch(4), criterion, choice.draw(4, (32, 32), generator(seed)))["loss"].isfinite()


def test_a_network_without_a_class_token_is_refused_at_once(make_net):
    with pytest.raises(ValueError, match="no attention layer"):
        TransMix().attach(make_net())


def test_a_method_that_was_not_attached_says_so(make_net, make_batch, criterion):
    with pytest.raises(ValueError, match="call method.attach"):
        TransMix().loss(make_net(needs="attention"), *make_batch(4), criterion)
