"""Labels that are wrong on purpose: which, how many, and what is recorded of them."""
import numpy as np
import pytest
import torch

from openmix.datasets import Arrays, LabelNoise, Subset
from openmix.registry import DATASETS

N, C = 4000, 10


@pytest.fixture(scope="module")
def data():
    labels = torch.arange(N) % C
    return Arrays(torch.zeros(N, 1, 2, 2, dtype=torch.uint8), labels, name="toy")


def test_uniform_noise_is_that_of_the_published_code_bit_for_bit(data):
    noisy = LabelNoise(data, p=0.5, seed=12345)
    labels = data.labels.numpy().copy()
    np.random.seed(12345)
    mask = np.random.rand(len(labels)) <= 0.5
    labels[mask] = np.random.choice(10, mask.sum())
    assert noisy.labels.tolist() == labels.tolist() and noisy.extra["noisy"].tolist() == mask.tolist()
    assert torch.equal(noisy.extra["clean"], data.labels)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_a_share_p_is_redrawn_of_which_nine_tenths_become_wrong(data, p):
    noisy = LabelNoise(data, p=p)
    redrawn, wrong = noisy.extra["noisy"].float().mean(), (noisy.labels != data.labels).float().mean()
    assert abs(redrawn - p) < 4 * (p * (1 - p) / N) ** 0.5
    assert abs(wrong - 0.9 * p) < 4 * (0.9 * p * (1 - 0.9 * p) / N) ** 0.5
    assert (noisy.labels == data.labels)[~noisy.extra["noisy"]].all()


def test_no_noise_changes_nothing_and_all_noise_is_uniform(data):
    assert torch.equal(LabelNoise(data, p=0.0).labels, data.labels)
    count = LabelNoise(data, p=1.0).labels.bincount(minlength=C).double()
    assert ((count - N / C) ** 2 / (N / C)).sum() < 27.9, "chi-square with 9 degrees of freedom, 0.1 %"


def test_flipped_labels_are_always_wrong_and_reach_every_other_class(data):
    noisy = LabelNoise(data, kind="flip", p=0.5)
    mask = noisy.extra["noisy"]
    assert (noisy.labels != data.labels)[mask].all() and (noisy.labels == data.labels)[~mask].all()
    step = (noisy.labels - data.labels)[mask] % C
    assert step.bincount(minlength=C)[1:].min() > 0.8 * mask.sum() / (C - 1)


def test_a_matrix_gives_its_chances(data):
    matrix = np.eye(C)
    matrix[3] = 0
    matrix[3, [3, 5]] = 0.25, 0.75
    noisy = LabelNoise(data, kind="matrix", matrix=matrix.tolist())
    count = noisy.labels[data.labels == 3].bincount(minlength=C)
    assert count.sum() == count[[3, 5]].sum() == N / C and abs(int(count[5]) - 300) < 40
    assert torch.equal(noisy.labels[data.labels != 3], data.labels[data.labels != 3])


@pytest.mark.parametrize("suffix", ["npy", "pt", "txt"])
def test_labels_come_from_a_file(data, tmp_path, suffix):
    labels = (data.labels + 1) % C
    path = tmp_path / f"labels.{suffix}"
    dict(npy=lambda: np.save(path, labels.numpy()), pt=lambda: torch.save(labels, path),
         txt=lambda: np.savetxt(path, labels.numpy(), fmt="%d"))[suffix]()
    noisy = LabelNoise(data, kind="file", file=str(path))
    assert torch.equal(noisy.labels, labels) and noisy.extra["noisy"].all()


def test_the_noise_is_recorded_and_the_set_has_a_hash_of_its_own(data):
    noisy = DATASETS.build(dict(type="LabelNoise", data=data, p=0.5))
    facts = noisy.describe()
    assert facts["name"] == "toy (50% uniform noise)" and facts["sha256"] != data.sha256
    assert facts["selection"]["noise"] == dict(kind="uniform", seed=12345, p=0.5,
                                               redrawn=int(noisy.extra["noisy"].sum()),
                                               wrong=int((noisy.labels != data.labels).sum()))
    assert not data.extra, "the set itself stays as it was"


def test_parts_are_the_noisy_and_the_clean_images(data):
    noisy, clean = (LabelNoise(data, p=0.5, part=part) for part in ("noisy", "clean"))
    assert len(noisy) + len(clean) == N and torch.equal(clean.labels, clean.extra["clean"])
    assert noisy.extra["noisy"].all() and not clean.extra["noisy"].any()
    assert abs((noisy.labels != noisy.extra["clean"]).float().mean() - 0.9) < 0.03, "a network that knows the truth"


def test_subsets_take_the_mask_along(data):
    part = Subset(LabelNoise(data, p=0.5), indices=[7, 3, 9])
    assert torch.equal(part.extra["clean"], data.labels[[7, 3, 9]])


@pytest.mark.parametrize("options, message", [
    (dict(kind="unifrom"), "kind must be one of"),
    (dict(p=1.5), "p must"),
    (dict(part="dirty"), "part must be"),
    (dict(kind="matrix"), "matrix of 10 rows"),
    (dict(kind="matrix", matrix=[[0.5] * 10] * 10), "sum to 1"),
    (dict(kind="file"), "needs file"),
    (dict(p=0.0, part="noisy"), "no noisy labels"),
])
def test_wrong_options_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        LabelNoise(data, **options)


def test_test_labels_stay_clean():
    test = Arrays(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), [0, 1, 0, 1], split="test")
    with pytest.raises(ValueError, match="test labels stay clean"):
        LabelNoise(test)


def test_a_missing_or_short_file_is_refused(data, tmp_path):
    with pytest.raises(FileNotFoundError, match="no file of labels"):
        LabelNoise(data, kind="file", file=str(tmp_path / "none.npy"))
    np.save(tmp_path / "short.npy", np.zeros(3, np.int64))
    with pytest.raises(ValueError, match="shape"):
        LabelNoise(data, kind="file", file=str(tmp_path / "short.npy"))
