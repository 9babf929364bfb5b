"""Speech Commands, from a folder of WAV files or a packed file."""
import hashlib
import json
import lzma
import struct

import numpy as np
import pytest
import torch

from openmix.datasets import SpeechCommands, make_loader
from openmix.datasets.augment import standardise
from openmix.datasets.spectrogram import log_spectrogram, read_wav

from .test_spectrogram import write_wav


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two words of four utterances, one of them short, one for validation and one for test of each word."""
    root = tmp_path_factory.mktemp("speech")
    random = np.random.RandomState(0)
    lists = dict(validation_list=[], testing_list=[])
    for word in ("yes", "no", "_background_noise_"):
        (root / word).mkdir()
        for k in range(4):
            write_wav(root / word / f"{k}.wav", random.randint(-3000, 3000, 16000 if k else 9000))
        if word[0] != "_":
            lists["validation_list"].append(f"{word}/1.wav")
            lists["testing_list"].append(f"{word}/3.wav")
    for name, lines in lists.items():
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return root


def pack(path, values, labels, split, classes=("a", "b"), digest=None):
    """A packed file of spectrograms (N, 161, 101) uint8."""
    header = json.dumps(dict(classes=classes, splits=["train", "validation", "test"], labels=labels, split=split,
                             sha256=digest or hashlib.sha256(values).hexdigest())).encode()
    body = np.ascontiguousarray(values.transpose(0, 2, 1)).tobytes()
    path.write_bytes(lzma.compress(struct.pack("<Q", len(header)) + header + body, preset=0))
    return path


def test_the_lists_say_which_files_a_split_holds(folder):
    parts = {split: SpeechCommands(folder, split) for split in ("train", "val", "test")}
    assert {split: len(part) for split, part in parts.items()} == dict(train=4, val=2, test=2)
    train = parts["train"]
    assert train.classes == ["no", "yes"] and train.labels.tolist() == [0, 0, 1, 1] and train.shape == (1, 161, 101)
    expected = log_spectrogram(torch.from_numpy(read_wav(folder / "yes" / "0.wav"))[None])
    torch.testing.assert_close(train.images[2:3], expected)
    assert not train.images[0, 0, :, 60:].any(), "9,000 samples are 57 frames"


def test_a_loader_gives_each_utterance_mean_0_and_deviation_1_padding_included(folder):
    data = SpeechCommands(folder)
    images, labels = next(iter(make_loader(data, augment=None, train=False)))
    torch.testing.assert_close(images, standardise(data.images))
    torch.testing.assert_close(images.flatten(1).mean(1), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.flatten(1).std(1), torch.ones(4), atol=1e-5, rtol=0)
    trained = next(iter(make_loader(data, total_batch=4, augment=None)))[0]
    torch.testing.assert_close(trained.flatten(1).std(1), torch.ones(4), atol=1e-5, rtol=0)


def test_silence_is_not_divided_by_its_deviation_of_0():
    assert torch.equal(standardise(torch.zeros(1, 1, 4, 4)), torch.zeros(1, 1, 4, 4))


def test_words_choose_and_number_the_classes(folder):
    data = SpeechCommands(folder, words=["yes"])
    assert data.classes == ["yes"] and len(data) == 2


def test_a_packed_file_gives_the_same_after_standardisation_as_its_bytes(tmp_path):
    values = np.random.RandomState(0).randint(0, 255, (4, 161, 101)).astype(np.uint8)
    data = SpeechCommands(pack(tmp_path / "words.xz", values, [0, 1, 1, 0], [0, 0, 1, 2]))
    assert data.labels.tolist() == [0, 1] and np.array_equal(data.images[:, 0].numpy(), values[:2]) and data.is_bytes
    images, _ = next(iter(make_loader(data, augment=None, train=False)))
    wanted = torch.from_numpy(values[:2]).double()[:, None] * 3.7
    torch.testing.assert_close(images, standardise(wanted), atol=1e-5, rtol=1e-4)
    only = SpeechCommands(tmp_path / "words.xz", words=["b"])
    assert only.labels.tolist() == [0] and only.classes == ["b"]


@pytest.mark.parametrize("make, error, message", [
    (lambda p: p / "none", FileNotFoundError, "no folder"),
    (lambda p: (p / "yes").mkdir() or p, FileNotFoundError, "validation_list.txt, testing_list.txt"),
    (lambda p: (p / "a.xz").write_bytes(b"x") and p / "a.xz", ValueError, "no packed file"),
    (lambda p: pack(p / "a.xz", np.zeros((1, 161, 101), np.uint8), [0], [0], digest="0" * 64), ValueError, "damaged"),
])
def test_missing_or_damaged_data_is_refused(tmp_path, make, error, message):
    with pytest.raises(error, match=message):
        SpeechCommands(make(tmp_path))


def test_unknown_words_and_splits_are_refused(folder):
    with pytest.raises(ValueError, match="no words maybe"):
        SpeechCommands(folder, words=["maybe"])
    with pytest.raises(ValueError, match=r"words must be a list of words, such as \[yes, no\], got 'yes,no'"):
        SpeechCommands(folder, words="yes,no")
    with pytest.raises(ValueError, match="split must be one of"):
        SpeechCommands(folder, "valid")
