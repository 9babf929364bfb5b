import copy

import pytest
import torch

from openmix import probes


def test_buffers_are_kept_over_passes_also_over_one_that_fails(make_net, make_batch):
    net, images = make_net(), make_batch()[0]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(ZeroDivisionError), probes.keeping_buffers(net):
        net(images)
        assert not torch.equal(net.stem[1].running_mean, before["stem.1.running_mean"])
        raise ZeroDivisionError
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    output = net(images).sum()
    with probes.keeping_buffers(net):
        net(images)
    output.backward()  # statistics that went back disturb no gradient
    assert net.stem[1].num_batches_tracked == 1


def test_a_net_on_copies_takes_the_statistics_of_the_batch_and_stores_none(make_net, make_batch):
    net, (images, _) = make_net(), make_batch(3)
    before = copy.deepcopy(net.state_dict())
    actual = probes.on_copies(net)(images)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert torch.equal(actual, net(images)) and net.stem[1].num_batches_tracked == 1
    assert probes.on_copies(torch.sin) is torch.sin
    (actual.sum() + net(images).sum()).backward()  # nothing that a backward pass needs was overwritten
