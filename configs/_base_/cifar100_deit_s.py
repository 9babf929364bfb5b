# CIFAR-100 with DeiT-S from scratch, optimized as in OpenMixup's table of transformers: AdamW 1e-3, cosine by iteration
# to 1e-6 after 20 epochs of warm-up, gradients clipped at 5. The data differ: crops and flips at 32 pixels, mixed there
# and enlarged to 224 in the network, where the table has RandAugment, random erasing and crops at 224
_base_ = ["./datasets/cifar100.py", "./models/deit_s.py", "./schedules/adamw_300e.py", "./runtime.py"]
model = dict(num_classes=100, backbone=dict(resize=224))
optim_wrapper = dict(clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-5, begin=0, end=20, convert_to_iter_based=True),
    dict(type="CosineAnnealingLR", eta_min=1e-6, begin=20, convert_to_iter_based=True)]
train_cfg = dict(max_epochs=200)
auto_scale_lr = dict(base_batch_size=100)
