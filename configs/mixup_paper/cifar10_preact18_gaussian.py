# Table 5, Gaussian noise on the inputs. The unit of sigma is not given: pixels in [0, 1] here, as 0.1 already costs 0.9
# points in the paper
_base_ = ["./cifar10_preact18.py"]
train_dataloader = dict(augment=dict(noise=0.1))
