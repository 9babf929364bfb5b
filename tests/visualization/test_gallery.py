"""The gallery: captions that tell the truth, files of three formats, and the command that draws it."""
from functools import partial

import pytest
import torch

from openmix.cli import main
from openmix.datasets import ArrayData
from openmix.inference.weights import load_classifier, load_network
from openmix.mixups import CutMix, MixUp
from openmix.registry import DATASETS, MIXUPS
from openmix.visualization import gallery, mixes
from openmix.visualization.mixes import Mix, look

NAMES = ["apple", "aquarium_fish", "bear", "apple"]


def sample(**changes):
    weights = torch.tensor([[0.5, 0.3, 0.2]] * 4)
    masks = weights[:, :, None, None].expand(4, 3, 6, 6)
    mix = Mix(torch.tensor([[0, 1, 3]] * 4), weights, masks, torch.rand(4, 3, 6, 6))
    return gallery.make_sample(mix._replace(**changes), torch.rand(4, 3, 6, 6), NAMES, 0, "Some", "ICML 2020")


def test_captions_name_classes_mask_and_the_weight_of_each_label():
    captions = [caption for caption, _ in sample().tiles]
    assert captions == ["apple", "aquarium fish", "apple", "mask 0.50", "0.70 apple\n+ 0.30 aquarium fish"]


def test_sources_without_weight_are_not_shown():
    captions = [caption for caption, _ in sample(weights=torch.tensor([[0.6, 0.4, 0.0]] * 4)).tiles]
    assert captions == ["apple", "aquarium fish", "mask 0.50", "0.60 apple\n+ 0.40 aquarium fish"]


def test_many_labels_are_counted():
    assert gallery.weights_caption(dict(a=0.4, b=0.3, c=0.2, d=0.06, e=0.04)) == "0.40 a\n+ 0.30 b\n+ 0.20 c + 2 more"


def test_tiles_are_the_images_and_what_the_method_made_of_them():
    images, labels = torch.rand(4, 3, 8, 8), torch.arange(4)
    method = CutMix()
    draws = dict(box=torch.tensor([[1, 5, 2, 8]]))
    made = gallery.make_sample(look(method, images, labels, draws), images, NAMES, 2, "CutMix")
    tiles = [image for _, image in made.tiles]
    assert torch.equal(tiles[0], images[2]) and torch.equal(tiles[1], images[1])
    assert torch.equal(tiles[3], method(images, labels, draws)[0][2])


@pytest.mark.parametrize("suffix", gallery.FORMATS)
def test_a_figure_is_written_and_the_same_again(suffix, tmp_path):
    files = []
    made = sample()
    for name in ("a", "b"):
        path = gallery.save(gallery.draw([made, made._replace(title="Other", tiles=made.tiles[:1] + made.tiles[3:])]),
                            tmp_path / f"{name}{suffix}")
        files.append(path.read_bytes())
    assert len(files[0]) > 2000
    if suffix != ".svg":  # whose identifiers are random
        assert files[0] == files[1]
    else:
        assert b"aquarium" in files[0] or b"<path" in files[0]


def test_other_formats_and_missing_folders_are_refused(tmp_path):
    figure = gallery.draw([sample()])
    with pytest.raises(ValueError, match=".png, .pdf, .svg"):
        gallery.save(figure, tmp_path / "a.bmp")
    with pytest.raises(FileNotFoundError, match="make it first"):
        gallery.save(figure, tmp_path / "nowhere" / "a.png")


def test_the_command_draws_every_registered_method_also_of_a_set_of_many_classes(tmp_path, monkeypatch, capsys):
    """Labels up to 99 and an untrained network; the teacher in the example of Distill has ten classes."""
    images, titles, real = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8), [], gallery.draw
    data = ArrayData(images, torch.arange(92, 100), [f"c{k}" for k in range(100)])

    def draw(samples, across):
        titles.extend(sample.title for sample in samples)
        assert all(len(sample.tiles) >= 3 for sample in samples)
        return real(samples[:2], across)

    monkeypatch.setattr(gallery, "draw", draw)
    monkeypatch.setattr(mixes, "draws_near", partial(mixes.draws_near, tries=2))
    monkeypatch.setattr(DATASETS, "build", lambda config: data)
    assert main(["show", "--out", str(tmp_path / "all.png")]) == 0
    assert sorted(titles) == sorted(MIXUPS.known()) and (tmp_path / "all.png").stat().st_size > 5000
    assert not capsys.readouterr().err


def test_one_method_alone_has_several_samples_with_different_draws(tmp_path, monkeypatch):
    shown = []
    figure = gallery.matplotlib_figure((1, 1))
    monkeypatch.setattr(gallery, "draw", lambda samples, across: shown.extend(samples) or figure)
    assert main(["show", "CutMix", "--dataset", "Shapes", "--count", "3", "--out", str(tmp_path / "one.svg")]) == 0
    masks = [sample.tiles[-2][1] for sample in shown]
    assert len(masks) == 3 and not torch.equal(masks[0], masks[1])


@pytest.mark.parametrize("words, message", [
    (["CutMixx"], "did you mean 'CutMix'"), (["--dataset", "Shapes", "--out", "a.bmp", "MixUp"], ".png, .pdf, .svg"),
    (["--lam", "2"], "--lam"), (["--count", "0"], "--count"),
    (["--dataset", "Shapes", "--checkpoint", __file__], "holds no weights"),
    (["--data-root", "nowhere"], "--dataset Shapes")])
def test_wrong_input_is_explained(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["show", *words]) == 2 and message in capsys.readouterr().err


def test_mixup_is_shown_with_real_class_names():
    assert gallery.shorten("aquarium_fish") == "aquarium fish" and len(gallery.shorten("a" * 40)) == 14
    assert MIXUPS.get("MixUp") is MixUp


def read(run):
    return *load_network(run), load_classifier(run)


def test_a_run_that_trained_the_method_shows_what_the_method_has_learned(tmp_path):
    """Its block's parameters, and images normalised for all its networks as they were in training."""
    from openmix.cli.show import method_samples, prepare
    from tests.engine.tiny import config, train

    train(config(tmp_path / "run", mixup="AutoMix", epochs=1, images=20))
    trained = torch.load(tmp_path / "run" / "epoch_1.pth", weights_only=True)["state_dict"]
    method, net, (mean, std) = prepared = prepare("AutoMix", 32, read(tmp_path / "run"))
    for key, value in method.state_dict().items():
        assert torch.equal(value, trained[f"mixup.{key}"]), key
    assert torch.equal(net.state_dict()["head.fc.weight"], trained["net.head.fc.weight"]) and net.training
    assert len(mean) == len(std) == 3 and mean != (0.0,)
    images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    sample, = method_samples("AutoMix", prepared, images, torch.arange(8), list("abcdefgh"), 1)
    mask, mixed = sample.tiles[-2][1], sample.tiles[-1][1]
    torch.testing.assert_close(mixed, mask * images[0] + (1 - mask) * sample.tiles[1][1], atol=1e-4, rtol=0)


def test_a_run_of_another_method_gives_its_network_alone(tmp_path):
    from openmix.cli.show import prepare
    from tests.engine.tiny import config, train

    train(config(tmp_path / "run", mixup="MixUp", epochs=1, images=20))
    method, net, _ = prepare("PuzzleMix", 32, read(tmp_path / "run"))
    trained = torch.load(tmp_path / "run" / "epoch_1.pth", weights_only=True)["state_dict"]
    assert type(method).__name__ == "PuzzleMix"
    assert torch.equal(net.state_dict()["head.fc.weight"], trained["net.head.fc.weight"])
