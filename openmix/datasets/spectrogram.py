"""Waveforms to log spectrograms, and WAV files to waveforms."""
import wave

import numpy as np
import torch
from torch import Tensor

RATE = 16000  # samples a second
WINDOW, HOP = 320, 160  # samples: 20 ms and 10 ms
BINS, FRAMES = WINDOW // 2 + 1, 101


def log_spectrogram(waves: Tensor) -> Tensor:
    """log(1 + |STFT|) with a Hamming window of 20 ms every 10 ms, cut or padded with zeros to 101 frames.

    The frames are centred, and edges are reflected, as librosa does and the networks' source (adiyoss/GCommandsPytorch)
    with it.

    Args:
        waves: (N, samples) float in [-1, 1], at 16 kHz; at least 161 samples.

    Returns:
        (N, 1, 161, 101) float32: frequencies from 0 to 8 kHz in steps of 50 Hz, then time.

    Raises:
        ValueError: another shape, or waves too short to reflect.
    """
    if waves.ndim != 2 or waves.shape[1] <= WINDOW // 2:
        least = WINDOW // 2 + 1
        raise ValueError(f"waves must be (N, samples) with at least {least} samples, got {tuple(waves.shape)}")
    window = torch.hamming_window(WINDOW, device=waves.device)
    spectrum = torch.stft(waves.float(), WINDOW, HOP, window=window, center=True, pad_mode="reflect",
                          return_complex=True)
    values = spectrum.abs().log1p()[..., :FRAMES]
    return torch.nn.functional.pad(values, (0, FRAMES - values.shape[-1]))[:, None]


def read_wav(path) -> np.ndarray:
    """Samples of a WAV file as float32 in [-1, 1].

    Raises:
        ValueError: no WAV file of one channel with 16 bits at 16 kHz.
    """
    try:
        with wave.open(str(path), "rb") as file:
            form = file.getnchannels(), file.getsampwidth(), file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") if form[1] == 2 else None
    except (wave.Error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"cannot read {path} as a WAV file: {error}") from error
    if form != (1, 2, RATE):
        raise ValueError(f"{path} must have 1 channel of 16 bits at {RATE} Hz, it has {form[0]} of {8 * form[1]} bits "
                         f"at {form[2]} Hz; convert it first")
    return samples.astype(np.float32) / 32768
