import copy

import pytest
import torch
from torch import nn

from openmix import probes

from .nets import Wrapped


def test_a_layer_is_reached_by_name_also_inside_a_backbone_and_a_compiled_net(make_net):
    net = make_net()
    wrapped = Wrapped(net)
    for actual in (net, wrapped, torch.compile(wrapped, backend="eager")):
        assert probes.find_layer(actual, "layer1") is net.layer1
        assert probes.find_layer(actual, "layer1.0") is net.layer1[0]


def test_the_error_of_an_unknown_layer_names_the_nearest(make_net):
    for name in ("layr2", "", "layer9"):
        with pytest.raises(ValueError, match="has no layer.*known:.*layer2"):
            probes.find_layer(Wrapped(make_net()), name)
    with pytest.raises(ValueError, match="did you mean 'layer2'"):
        probes.find_layer(Wrapped(make_net()), "layr2")


def test_the_classifier_is_the_last_linear_layer_or_the_named_one(make_net):
    net = make_net()
    assert probes.find_classifier(net) == ("fc", net.fc)
    assert probes.find_classifier(Wrapped(net)) == ("head.fc", net.fc)
    assert probes.find_classifier(Wrapped(net), "layer4.0") == ("backbone.layer4.0", net.layer4[0])
    with pytest.raises(ValueError, match="no nn.Linear.*classifier="):
        probes.find_classifier(nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten()))


def test_layer_shape_is_that_of_the_output_and_changes_nothing(make_net):
    net = make_net()
    net.layer1[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    modes = [m.training for m in net.modules()]
    assert probes.layer_shape(net, "layer3") == (12, 8, 8)
    assert probes.layer_shape(net, "layer2", (3, 16, 24)) == (8, 8, 12)
    assert modes == [m.training for m in net.modules()] and not net.layer3._forward_hooks
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_the_channels_of_a_layer_are_those_of_maps_and_of_tokens(make_net):
    assert probes.layer_channels(make_net(), "layer3") == 12
    assert probes.layer_channels(nn.Sequential(nn.Flatten(2), nn.Linear(9, 5)), "1", (4, 3, 3)) == 5
    with pytest.raises(ValueError, match="image_size or channels"):
        probes.layer_channels(make_net(), "layer3", (1, 32, 32))


def test_layer_shape_needs_one_tensor():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.unused, self.pair, self.fc = nn.Identity(), nn.LSTM(3, 3), nn.Linear(3, 2)

        def forward(self, images):
            return self.fc(self.pair(images.mean(3))[0])

    with pytest.raises(ValueError, match="got tuple"):
        probes.layer_shape(Odd(), "pair", (3, 3, 5))
    with pytest.raises(ValueError, match="did not run"):
        probes.layer_shape(Odd(), "unused", (3, 3, 5))


def test_tokens_become_a_map_row_by_row_without_those_in_front():
    tokens = torch.arange(2 * 11 * 4.0).reshape(2, 11, 4)  # two in front, then 3 x 3
    actual = probes.as_map(tokens)
    assert actual.shape == (2, 4, 3, 3)
    for row in range(3):
        for column in range(3):
            assert torch.equal(actual[:, :, row, column], tokens[:, 2 + 3 * row + column])
    assert probes.as_map(actual) is actual
    with pytest.raises(ValueError, match="name another layer"):
        probes.as_map(torch.zeros(2, 3))


class PooledTokens(nn.Module):
    """Tokens of patches, and a classifier of their mean."""

    def __init__(self):
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 12, 8, 8), nn.LayerNorm(12)
        self.fc = nn.Linear(12, 7)

    def forward(self, images):
        tokens = self.norm(self.patch(images).flatten(2).transpose(1, 2))
        return self.fc(tokens.mean(1))


@pytest.mark.parametrize("wrap", [lambda net: net, Wrapped, lambda net: torch.compile(net, backend="eager")],
                         ids=["plain", "backbone and head", "compiled"])
def test_the_last_map_is_the_last_output_of_more_than_one_position(wrap, make_net):
    net = wrap(make_net())
    name, channels, classes = probes.last_map(net)
    assert name.split(".")[-1] in ("layer4", "backbone") and (channels, classes) == (16, 10)
    probes.plant(net, name)
    features = probes.watch(net, name, lambda: net(torch.randn(2, 3, 32, 32)))
    assert features.shape == (2, 16, 4, 4)


def test_the_last_map_of_other_sizes_layers_and_tokens(make_net):
    net = make_net()
    assert probes.last_map(net, (3, 8, 8))[:2] == ("layer3", 12), "layer4 has one position there"
    assert probes.last_map(net, layer="layer2") == ("layer2", 8, 10)
    assert probes.last_map(net, (3, 8, 8), "layer4") == ("layer4", 16, 10), "one that is named may have one position"
    assert probes.last_map(PooledTokens()) == ("norm", 12, 7)


def test_looking_for_the_last_map_changes_nothing(make_net):
    net = make_net()
    net.layer1[1].eval()
    before = copy.deepcopy(net.state_dict()), [(m.training, len(m._forward_hooks)) for m in net.modules()]
    probes.last_map(net)
    assert [(m.training, len(m._forward_hooks)) for m in net.modules()] == before[1]
    assert all(torch.equal(before[0][k], v) for k, v in net.state_dict().items())


def test_a_network_without_maps_or_without_the_named_layer_is_refused(make_net):
    flat = nn.Sequential(nn.Flatten(), nn.Linear(48, 10))
    with pytest.raises(ValueError, match="Sequential has no layer with feature maps.*name the layer"):
        probes.last_map(flat, (3, 4, 4))
    with pytest.raises(ValueError, match="did you mean 'layer4'"):
        probes.last_map(make_net(), layer="layr4")
    with pytest.raises(ValueError, match="feature maps"):
        probes.last_map(make_net(), layer="fc")


def test_maps_with_channels_last_are_rearranged_where_the_size_of_the_images_shows_it():
    maps = torch.arange(2 * 4 * 8 * 6.0).reshape(2, 4, 8, 6)  # (N, h, w, C), as Swin's
    assert torch.equal(probes.as_map(maps, (32, 64)), maps.permute(0, 3, 1, 2))
    assert probes.as_map(maps) is maps, "without a size they are taken as (N, C, h, w)"
    usual = torch.zeros(2, 6, 4, 8)
    assert probes.as_map(usual, (32, 64)) is usual
    cube = torch.zeros(2, 4, 4, 4)
    assert probes.as_map(cube, (32, 32)) is cube


def test_tokens_of_images_that_are_no_squares_keep_their_places():
    tokens = torch.arange(2 * 33 * 4.0).reshape(2, 33, 4)  # one in front, then 4 x 8
    actual = probes.as_map(tokens, (32, 64))
    assert actual.shape == (2, 4, 4, 8)
    for row in range(4):
        for column in range(8):
            assert torch.equal(actual[:, :, row, column], tokens[:, 1 + 8 * row + column])


class ChannelsLast(nn.Module):
    """Its ``stage`` puts out maps (N, h, w, C)."""

    def __init__(self):
        super().__init__()
        self.stem, self.stage, self.fc = nn.Conv2d(3, 6, 8, 8), nn.Linear(6, 6), nn.Linear(6, 10)

    def forward(self, images):
        return self.fc(self.stage(self.stem(images).permute(0, 2, 3, 1)).mean((1, 2)))


def test_the_channels_of_such_a_layer_are_its_last_dimension():
    assert probes.layer_channels(ChannelsLast(), "stage", (3, 32, 64)) == 6
    assert probes.last_map(ChannelsLast(), (3, 32, 64)) == ("stage", 6, 10)
