"""Google's Speech Commands: Warden, arXiv 1804.03209. Spoken words as log spectrograms."""
import hashlib
import json
import lzma
import struct
from pathlib import Path

import numpy as np
import torch

from .arrays import ArrayData, as_labels
from .options import listed, local_path, printable
from .spectrogram import BINS, FRAMES, WINDOW, log_spectrogram, read_wav
from .splits import SPLITS

LISTS = dict(val="validation_list.txt", test="testing_list.txt")
BLOCK = 512  # waveforms of one Fourier transform


class SpeechCommands(ArrayData):
    """Spoken words as spectrograms (1, 161, 101): 161 frequencies, 101 frames of 10 ms.

    Each is ``log(1 + |STFT|)``, see :func:`log_spectrogram`. A loader gives each mean 0 and standard deviation 1,
    padding included. Use ``augment=None``. All 64,727 utterances of version 0.01 need 4.2 GB of memory.

    Args:
        data_root: the unpacked archive, a folder of words with WAV files and the two official lists; or a packed file
            ``*.xz``, see :func:`read_packed`.
        split: ``"train"`` (what is on neither list), ``"val"`` or ``"test"``.
        words: folders to use; all by default but those whose names begin with ``_``.

    Raises:
        FileNotFoundError: no such folder, file or list. ValueError: an unknown word, a file that is no WAV file of
            16 kHz, a damaged packed file.
    """

    name = "Speech Commands"
    standardise = True

    def __init__(self, data_root="data", split="train", words=None):
        if split not in SPLITS:
            raise ValueError(f"split must be one of {SPLITS}, got {split!r}")
        root = local_path(data_root)
        if root.is_file():
            images, labels, words = read_packed(root, split, words)
        else:
            images, labels, words = read_folder(root, split, words)
        super().__init__(images, labels, words, name=f"{self.name} ({len(words)} words)", split=split,
                         where=printable(root), channels_last=False)
        self.mean = self.std = None


def chosen_words(known, words, where) -> list[str]:
    """``words``, or all that are known. Raises ValueError for unknown ones, or one text."""
    if isinstance(words, str):
        raise ValueError(f"words must be a list of words, such as [{words.replace(',', ', ')}], got {words!r}")
    known = sorted(known)
    words = known if words is None else list(words)
    if strange := [word for word in words if word not in known]:
        raise ValueError(f"{where} has no words {listed(strange)}; it has {listed(known, 40) or 'none'}")
    return words


def read_folder(root: Path, split: str, words):
    """(spectrograms (N, 1, 161, 101), labels (N,), words) of the WAV files that belong to ``split``."""
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}; expected the unpacked archive of Speech Commands")
    missing = [name for name in LISTS.values() if not (root / name).is_file()]
    if missing:
        raise FileNotFoundError(f"{root} lacks {', '.join(missing)}, which the archive of Speech Commands holds")
    lists = {part: set((root / name).read_text().split()) for part, name in LISTS.items()}
    words = chosen_words((p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith("_")), words, root)
    files, labels = [], []
    for label, word in enumerate(words):
        for path in sorted((root / word).glob("*.wav")):
            name = f"{word}/{path.name}"
            if split == next((part for part, names in lists.items() if name in names), "train"):
                files.append(path)
                labels.append(label)
    if not files:
        raise ValueError(f"{root} has no {split} files of {listed(words)}")
    return spectrograms(files), labels, words


def spectrograms(files: list[Path]) -> torch.Tensor:
    """Spectrograms of WAV files, (N, 1, 161, 101); files of equal length are transformed together."""
    images = torch.empty(len(files), 1, BINS, FRAMES)
    waves = [read_wav(path) for path in files]
    if short := [path for path, samples in zip(files, waves, strict=True) if len(samples) <= WINDOW // 2]:
        raise ValueError(f"{short[0]} is shorter than a window of 20 ms; remove it")
    lengths = np.array([len(samples) for samples in waves])
    for length in np.unique(lengths):
        alike = (lengths == length).nonzero()[0]
        for block in np.array_split(alike, -(-len(alike) // BLOCK)):
            images[block] = log_spectrogram(torch.from_numpy(np.stack([waves[i] for i in block])))
    return images


def read_packed(path: Path, split: str, words):
    """(spectrograms (N, 1, 161, 101) uint8, labels (N,), words) of one file for all splits.

    An LZMA stream: the length of the header (8 bytes, little-endian); the header, a JSON object with ``classes``,
    ``splits`` (names), ``labels`` and ``split`` (a number for each utterance) and ``sha256`` of the spectrograms
    (N, 161, 101); then these as uint8, frame by frame: (N, 101, 161). Each is divided by its maximum, a scale that
    has no meaning after standardisation.
    """
    try:
        content = lzma.decompress(path.read_bytes())
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8:8 + length])
        parts = ["val" if name == "validation" else name for name in header["splits"]]
        labels, which = np.array(header["labels"]), np.array(header["split"])
        values = np.frombuffer(content, np.uint8, offset=8 + length).reshape(len(labels), FRAMES, BINS)
        known, expected = header["classes"], header["sha256"]
    except (lzma.LZMAError, struct.error, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no packed file of spectrograms: {error!r}") from error
    values = np.ascontiguousarray(values.transpose(0, 2, 1))
    if hashlib.sha256(values).hexdigest() != expected:
        raise ValueError(f"{path} is damaged: the SHA-256 of its spectrograms is not that of its header")
    if split not in parts:
        raise ValueError(f"{path} has no split {split!r}; it has {', '.join(parts)}")
    words = chosen_words(known, words, path)
    number = np.array([words.index(word) if word in words else -1 for word in known])
    labels = number[as_labels(labels, len(labels), len(known), str(path)).numpy()]
    inside = (which == parts.index(split)) & (labels >= 0)
    return values[inside][:, None], labels[inside], words
