"""Attention of transformers equals the libraries' own, and networks without it are refused by what they have."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix import attention, probes
from tests.conftest import TinyNet, TinyViT


def timm_vit(**options):
    timm = pytest.importorskip("timm")
    return timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=3,
                             num_classes=5, **options)


def shaken(net, seed=0):
    """The network with weights that make attention uneven."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))
    return net.eval()


def planted(net):
    names = attention.attention_layers(net)
    attention.plant_attention(net, names)
    return names


@pytest.mark.parametrize("options", [{}, dict(qk_norm=True), dict(reg_tokens=2), dict(init_values=0.1)], ids=str)
def test_attention_is_timms_own_and_its_fused_kernel_stays(options, make_batch):
    net, (images, _) = shaken(timm_vit(**options)), make_batch(2)
    names = planted(net)
    assert names == [f"blocks.{i}.attn" for i in range(3)] and net.blocks[0].attn.fused_attn
    plain, made = net(images), []
    maps = attention.attention(net, names, lambda: made.append(net(images)))
    assert torch.equal(made[0], plain)
    seen = []
    for block in net.blocks:  # timm's slow form hands its weights to this layer
        block.attn.fused_attn = False
        block.attn.attn_drop.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        net(images)
    for mine, own in zip(maps, seen, strict=True):
        assert (mine - own.mean(1)).abs().max() < 1e-6 and mine.std() > 0.01
    last = attention.attention(net, names[-1:], lambda: net(images), row=0)[0]
    assert (last - maps[-1][:, 0]).abs().max() < 1e-6


def test_attention_is_torchvisions_own(make_batch):
    vit = pytest.importorskip("torchvision.models.vision_transformer").VisionTransformer
    net, (images, _) = shaken(vit(32, 8, 2, 2, 16, 32)), make_batch(3)
    names = planted(net)
    assert [name.rpartition(".")[2] for name in names] == ["self_attention"] * 2
    plain = net(images)
    maps = attention.attention(net, names, lambda: net(images))
    first = net.encoder.layers[0]
    with torch.no_grad():
        x = first.ln_1(torch.cat([net.class_token.expand(3, -1, -1), net._process_input(images)], 1)
                       + net.encoder.pos_embedding)
        own = first.self_attention(x, x, x, need_weights=True)[1]
    assert (maps[0] - own).abs().max() < 1e-6 and maps[0].std() > 0.01
    assert torch.equal(net(images), plain)
    last = attention.attention(net, names[-1:], lambda: net(images), row=0)[0]
    assert (last - maps[-1][:, 0]).abs().max() < 1e-6


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_order_of_dimensions_of_multihead_attention_does_not_matter(batch_first):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cls_token = nn.Parameter(torch.zeros(1))
            self.attn = nn.MultiheadAttention(8, 2, batch_first=batch_first)

        def forward(self, x):
            return self.attn(x, x, x)

    net, x = Net(), torch.randn(3, 5, 8)
    planted(net)
    own = net(x)[1]
    (mine,) = attention.attention(net, ["attn"], lambda: net(x))
    assert torch.allclose(mine, own, atol=1e-6)


def test_rows_sum_to_one_without_gradient_and_hooks_do_nothing_outside(make_batch):
    net, (images, _) = TinyViT(), make_batch(4)
    names, plain = planted(net), net(images)
    assert names == ["layer1.1", "layer2.1"] and planted(net) == names
    assert [len(m._forward_hooks) for m in net.modules()].count(1) == 2
    maps = attention.attention(net, names, lambda: net(images))
    assert all(m.shape == (4, 17, 17) and not m.requires_grad for m in maps)
    assert all(torch.allclose(m.sum(2), torch.ones(4, 17)) for m in maps)
    assert torch.equal(net(images), plain)
    with torch.autocast("cpu", torch.bfloat16):
        half = attention.attention(net, names, lambda: net(images))
    assert half[0].dtype == torch.float32 and torch.allclose(half[0], maps[0], atol=0.02)


def test_a_layer_that_nothing_was_planted_at_is_named(make_batch):
    net = TinyViT()
    with pytest.raises(ValueError, match="nothing is planted at layer 'layer2.1.qkv'.*attach"):
        attention.attention(net, ["layer2.1"], lambda: net(make_batch(2)[0]))


def test_points_of_input_and_of_output_at_one_layer_are_two():
    net = nn.Sequential(nn.MultiheadAttention(4, 1))
    probes.plant(net, "0")
    probes.plant(net, "0", attention.InputPoint)
    assert [type(h).__name__ for h in net[0]._forward_hooks.values()] == ["HookPoint", "InputPoint"]


class Windows(nn.Module):
    """Attention with a bias of positions, as Swin's."""

    def __init__(self):
        super().__init__()
        self.qkv, self.num_heads, self.relative_position_bias_table = nn.Linear(4, 12), 2, nn.Parameter(torch.zeros(9))

    def forward(self, x):
        return x


class Rotary(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.num_heads = nn.Linear(4, 12), 2

    def forward(self, x, rope=None):
        return x


def test_networks_without_plain_attention_or_class_token_are_refused_by_what_they_have():
    with pytest.raises(ValueError, match="TinyNet has no attention layer.*vit_"):
        attention.attention_layers(TinyNet())
    with pytest.raises(ValueError, match="layer '0' of Sequential is a Windows with 'relative_position_bias_table'"):
        attention.attention_layers(nn.Sequential(Windows()))
    with pytest.raises(ValueError, match="a Rotary with 'rope'"):
        attention.attention_layers(nn.Sequential(Rotary()))
    with pytest.raises(ValueError, match="MultiheadAttention with 'kdim'"):
        attention.attention_layers(nn.Sequential(nn.MultiheadAttention(4, 1, kdim=3)))
    with pytest.raises(ValueError, match="has attention layers .*'0'.*but no class token"):
        attention.attention_layers(nn.Sequential(nn.MultiheadAttention(4, 1)))


@pytest.mark.parametrize("name, message", [
    ("swin_tiny_patch4_window7_224", "WindowAttention with 'relative_position_bias_table'"),
    ("xcit_nano_12_p16_224", "XCA with 'temperature'"), ("pvt_v2_b0", "no attention layer"),
    ("vit_base_patch16_rope_reg1_gap_256", "EvaAttention with 'rope'"),
    ("vit_relpos_small_patch16_224", "RelPosAttention with 'rel_pos'")])
def test_other_transformers_of_timm_are_refused(name, message):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        net = timm.create_model(name)
    with pytest.raises(ValueError, match=message):
        attention.attention_layers(net)


@pytest.mark.parametrize("tokens, size, grid", [
    (17, (32, 32), (4, 4)), (197, (224, 224), (14, 14)), (198, (224, 224), (14, 14)), (201, (224, 224), (14, 14)),
    (257, (32, 32), (16, 16)), (393, (224, 448), (14, 28)), (109, (192, 144), (12, 9)), (2, (8, 8), (1, 1))], ids=str)
def test_the_grid_of_patches_has_the_proportions_of_the_images(tokens, size, grid):
    assert attention.token_grid(tokens, size) == grid


def test_the_share_of_attention_on_a_mask_is_a_sum_over_patches():
    attended = torch.rand(3, 4, 4)
    mask = (torch.rand(3, 1, 4, 4) < 0.5).repeat_interleave(8, 2).repeat_interleave(8, 3)
    expected = [sum(attended[n, i, j] for i in range(4) for j in range(4) if mask[n, 0, 8 * i, 8 * j])
                / attended[n].sum() for n in range(3)]
    assert torch.allclose(attention.attended_share(attended, mask), torch.stack(expected))
    assert F.mse_loss(attention.attended_share(attended, torch.ones(1, 1, 32, 32)), torch.ones(3)) < 1e-12
