"""Log spectrograms and WAV files."""
import math
import wave

import numpy as np
import pytest
import torch

from openmix.datasets.spectrogram import log_spectrogram, read_wav


def tone(hertz, samples=16000):
    return torch.sin(math.tau * hertz * torch.arange(samples) / 16000)[None]


def write_wav(path, samples, rate=16000, channels=1, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return path


def test_a_tone_of_1000_hz_is_in_row_20_of_every_frame_inside():
    spectrum = log_spectrogram(tone(1000))
    assert spectrum.shape == (1, 1, 161, 101) and (spectrum[0, 0, :, 1:-1].argmax(0) == 20).all()


def test_silence_is_zero_and_short_waves_are_padded_with_zeros():
    assert not log_spectrogram(torch.zeros(1, 16000)).any()
    short = log_spectrogram(tone(1000, 8000))
    assert (short[..., :51].amax(2) > 0).all() and not short[..., 51:].any()


def test_a_frame_is_the_direct_fourier_sum_of_its_window():
    wave_ = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    frame, n = 40, torch.arange(320, dtype=torch.float64)
    window = 0.54 - 0.46 * torch.cos(math.tau * n / 320)
    part = wave_[0, 160 * frame - 160:160 * frame + 160].double() * window
    sums = [torch.sum(part * torch.exp(-1j * math.tau * k * n / 320)).abs() for k in range(161)]
    torch.testing.assert_close(log_spectrogram(wave_)[0, 0, :, frame].double(), torch.stack(sums).log1p(),
                               rtol=1e-4, atol=1e-4)


def test_the_spectrogram_of_a_mixture_is_not_the_mixture_of_spectrograms():
    a, b = tone(1000), tone(3000)
    apart = log_spectrogram(0.5 * a + 0.5 * b) - (log_spectrogram(a) + log_spectrogram(b)) / 2
    assert apart.abs().max() > 0.1, "mixing acts on spectrograms"


def test_wav_files_are_read_as_numbers_in_minus_1_to_1(tmp_path):
    samples = np.array([0, 16384, -32768, 32767])
    assert read_wav(write_wav(tmp_path / "a.wav", samples)).tolist() == [0, 0.5, -1, 32767 / 32768]


@pytest.mark.parametrize("form, message", [(dict(rate=8000), "8000 Hz"), (dict(channels=2), "2 of 16 bits")])
def test_other_forms_are_refused_with_what_they_are(tmp_path, form, message):
    with pytest.raises(ValueError, match=message):
        read_wav(write_wav(tmp_path / "a.wav", np.zeros(100), **form))


def test_files_that_are_no_wav_are_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="cannot read"):
        read_wav(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="at least 161"):
        log_spectrogram(torch.zeros(1, 100))
