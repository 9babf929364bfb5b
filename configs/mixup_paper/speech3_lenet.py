# three words of the thirty, as packed spectrograms: a table of its own
_base_ = ["./speech_lenet.py"]
model = dict(num_classes=3)
train_dataloader = val_dataloader = test_dataloader = dict(dataset=dict(data_root="data/speech_commands_3.xz"))
