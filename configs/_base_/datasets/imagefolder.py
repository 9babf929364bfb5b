# a folder of photographs that is too large for memory: decoded while training, random crops resized to 224 x 224.
# data_root holds train/<class>/*.jpg and val/<class>/*.jpg; mean and std of ImageNet
data_preprocessor = dict(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
train_dataloader = dict(
    total_batch=256,
    dataset=dict(type="ImageFolderData", data_root="data/imagenet", split="train", size=224, resident=False,
                 interpolation="bicubic"),
    augment=dict(scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), flip=0.5),
)
val_dataloader = dict(dataset=dict(type="ImageFolderData", data_root="data/imagenet", split="val", size=224, resize=256,
                                   resident=False, interpolation="bicubic"))
test_dataloader = dict(dataset=dict(type="ImageFolderData", data_root="data/imagenet", split="val", size=224,
                                    resize=256, resident=False, interpolation="bicubic"))
val_evaluator = test_evaluator = dict(type="Accuracy", topk=(1, 5))
val_cfg = test_cfg = dict()
