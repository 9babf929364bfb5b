# AdamW of DeiT: 1e-3 for a batch of 1024, 5 epochs of warm-up, cosine to 1e-5; no decay on norms, biases and tokens
optim_wrapper = dict(
    optimizer=dict(type="AdamW", lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0, bias_decay_mult=0, flat_decay_mult=0,
                       custom_keys=dict(cls_token=dict(decay_mult=0), pos_embed=dict(decay_mult=0))))
param_scheduler = [dict(type="LinearLR", start_factor=1e-3, begin=0, end=5),
                   dict(type="CosineAnnealingLR", eta_min=1e-5, begin=5)]
train_cfg = dict(max_epochs=300, val_interval=1)
auto_scale_lr = dict(base_batch_size=1024)
