# ImageNet-1k as DeiT trains it, but without RandAugment, colour jitter and random erasing, which this library does not
# have: values will be below the published ones
_base_ = ["./datasets/imagefolder.py", "./models/deit_s.py", "./schedules/adamw_300e.py", "./runtime.py"]
train_dataloader = dict(total_batch=1024)
