# ImageNet-1k, "PyTorch style" of OpenMixup: 100 epochs, SGD, lr 0.1 for a batch of 256, cosine to 0, bicubic
_base_ = ["./datasets/imagefolder.py", "./models/r50_imagenet.py", "./schedules/sgd_200e.py", "./runtime.py"]
train_cfg = dict(max_epochs=100)
auto_scale_lr = dict(base_batch_size=256)
