import pytest
import torch

from openmix.heads import LinearHead


@pytest.mark.parametrize("pool, reduce", [("avg", lambda v: sum(v) / len(v)), ("max", max)])
def test_maps_are_pooled_over_all_places_and_then_multiplied(pool, reduce):
    torch.manual_seed(0)
    head, features = LinearHead(3, 5, init_std=1.0, pool=pool), torch.randn(2, 3, 2, 4)
    torch.nn.init.normal_(head.fc.bias)
    for n in range(2):
        pooled = [reduce(features[n, c].flatten().tolist()) for c in range(3)]
        for k in range(5):
            expected = sum(w * x for w, x in zip(head.fc.weight[k].tolist(), pooled, strict=True))
            assert head(features)[n, k].item() == pytest.approx(expected + head.fc.bias[k].item(), abs=1e-5)


def test_features_without_places_pass_through():
    head, features = LinearHead(3, 5), torch.randn(2, 3)
    torch.testing.assert_close(head(features), features @ head.fc.weight.T)  # the bias starts at 0


def test_weights_start_normal_with_the_given_std_and_biases_at_zero():
    torch.manual_seed(0)
    for std in (0.01, 0.2):
        head = LinearHead(512, 200, init_std=std)
        assert head.fc.weight.std().item() == pytest.approx(std, rel=0.02)
        assert head.fc.weight.mean().abs().item() < 0.02 * std
        assert not head.fc.bias.any()


def test_without_a_std_weights_and_biases_start_as_pytorch_makes_them():
    torch.manual_seed(0)
    head = LinearHead(100, 50, init_std=None)
    torch.manual_seed(0)
    expected = torch.nn.Linear(100, 50)
    assert torch.equal(head.fc.weight, expected.weight) and torch.equal(head.fc.bias, expected.bias)


@pytest.mark.parametrize("make, message", [
    (lambda: LinearHead(3, 5, pool="mean"), "pool must be one of .* got 'mean'"),
    (lambda: LinearHead(None, 5), "positive integer in_channels, got None"),
    (lambda: LinearHead(3, 0), "positive integer num_classes, got 0"),
    (lambda: LinearHead(3, 5)(torch.zeros(2, 4)), r"\(N, 3\) or \(N, 3, H, W\), got \(2, 4\)"),
    (lambda: LinearHead(3, 5)(torch.zeros(2, 3, 4)), r"got \(2, 3, 4\)"),
])
def test_wrong_settings_and_shapes_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
