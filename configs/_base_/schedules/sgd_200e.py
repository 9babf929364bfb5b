# SGD, weight decay on every parameter, cosine per epoch to 0; 400/800/1200 epochs: train_cfg.max_epochs=...
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4))
param_scheduler = [dict(type="CosineAnnealingLR", eta_min=0.0)]
train_cfg = dict(max_epochs=200, val_interval=1)
auto_scale_lr = dict(base_batch_size=100)
