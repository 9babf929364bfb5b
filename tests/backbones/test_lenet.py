import pytest
import torch
import torch.nn.functional as F

from openmix.backbones import LeNet


def test_it_is_the_written_out_network():
    torch.manual_seed(0)
    net, images = LeNet(), torch.randn(2, 3, 32, 32)
    w = dict(net.named_parameters())
    x = F.max_pool2d(F.relu(F.conv2d(images, w["layer1.0.weight"], w["layer1.0.bias"])), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w["layer2.0.weight"], w["layer2.0.bias"])), 2)
    x = F.relu(F.linear(x.reshape(2, 400), w["fc1.0.weight"], w["fc1.0.bias"]))
    x = F.relu(F.linear(x, w["fc2.0.weight"], w["fc2.0.bias"]))
    torch.testing.assert_close(net(images), x)


@pytest.mark.parametrize("size", [16, 28, 33])
def test_other_image_sizes_are_an_option(size):
    assert LeNet(in_channels=1, image_size=size)(torch.rand(2, 1, size, size)).shape == (2, 84)


def test_images_of_another_size_say_which_were_expected():
    with pytest.raises(ValueError, match=r"\(N, 3, 32, 32\), got \(2, 3, 28, 28\); set in_channels and image_size"):
        LeNet()(torch.rand(2, 3, 28, 28))
    with pytest.raises(ValueError, match="at least 16x16, got image_size=15"):
        LeNet(image_size=15)
