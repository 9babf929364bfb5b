_base_ = ["../_base_/mixup_paper_speech.py"]
model = dict(backbone=dict(type="SpeechVGG11"))
