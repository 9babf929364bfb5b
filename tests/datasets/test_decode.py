"""Decoding, resizing and crop boxes against Pillow and torchvision."""
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import RandomResizedCrop, v2

from openmix.datasets import decode
from openmix.sampling import resized_crops


@pytest.fixture
def picture(tmp_path):
    """``picture(name, size)``: a smooth random picture saved under ``name``; (path, Pillow image as read again)."""
    def make(name, size=(90, 60), seed=0, **options):
        small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize(size, Image.BICUBIC).save(tmp_path / name, **options)
        return tmp_path / name, Image.open(tmp_path / name)
    return make


def tensor(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.bmp", "a.webp"])
def test_files_are_decoded_as_pillow_does(picture, name):
    path, image = picture(name)
    actual, size = decode.read_image(path)
    assert size == (60, 90) and torch.equal(actual, tensor(image.convert("RGB")))


def test_the_content_counts_and_not_the_name(picture):
    path, image = picture("a.png")
    assert torch.equal(decode.read_image(path.rename(path.with_name("b.jpg")))[0], tensor(image))


@pytest.mark.parametrize("shrink", [None, lambda height, width: 1, lambda height, width: 2])
@pytest.mark.parametrize("turned", range(1, 9))
def test_images_are_turned_as_their_exif_orientation_says(picture, shrink, turned):
    exif = Image.Exif()
    exif[0x0112] = turned
    path, image = picture("a.jpg", exif=exif)
    upright, _ = decode.read_image(picture("b.jpg")[0], shrink)
    actual, size = decode.read_image(path, shrink)
    back = {1: lambda x: x, 2: lambda x: x.flip(2), 3: lambda x: x.rot90(2, (1, 2)), 4: lambda x: x.flip(1),
            5: lambda x: x.transpose(1, 2), 6: lambda x: x.rot90(-1, (1, 2)),
            7: lambda x: x.transpose(1, 2).flip((1, 2)), 8: lambda x: x.rot90(1, (1, 2))}[turned]
    assert torch.equal(actual, back(upright)) and size == ((60, 90) if turned < 5 else (90, 60))


@pytest.mark.parametrize("interpolation, filter", [("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC)])
@pytest.mark.parametrize("size", [(90, 60), (61, 240), (20, 16)])
def test_the_centre_is_that_of_pillow(picture, interpolation, filter, size):
    path, image = picture("a.png", size)
    actual = decode.centre(path, 28, 32, interpolation)
    width, height = size
    wide, tall = (32, int(height * 32 / width)) if width < height else (int(width * 32 / height), 32)
    left, top = round((wide - 28) / 2), round((tall - 28) / 2)
    expected = tensor(image.resize((wide, tall), filter).crop((left, top, left + 28, top + 28)))
    assert actual.shape == (3, 28, 28) and (actual.int() - expected.int()).abs().max() <= 1


@pytest.mark.parametrize("resize, size", [(32, 28), (36, 29)])
def test_the_view_of_evaluation_has_the_sizes_and_places_of_torchvision(resize, size):
    """Any rounding of the longer side or of the crop's place that differs shows as a shifted or another picture."""
    view = v2.Compose([v2.Resize(resize), v2.CenterCrop(size)])
    g = torch.Generator().manual_seed(0)
    for height, width in torch.randint(20, 160, (150, 2), generator=g).tolist():
        image = torch.randint(0, 256, (3, height, width), generator=g).byte()
        actual = decode.centre_of(image, size, resize, "bilinear")
        assert actual.shape == (3, size, size)
        assert (actual.int() - view(image).int()).abs().max() <= 1, (height, width)


def test_a_draft_is_nearly_the_whole_decoded(picture):
    path, _ = picture("a.jpg", (800, 600), quality=95)
    candidates = [(0.5, 1.2, 0.3, 0.6)]
    for find in (lambda draft: decode.centre(path, 56, 64, "bilinear", draft),
                 lambda draft: decode.random_crop(path, candidates, (0.75, 1.33), 56, "bilinear", draft)):
        whole, draft = find(False), find(True)
        assert draft.shape == whole.shape == (3, 56, 56)
        assert (whole.float() - draft.float()).abs().mean() < 3, "another place of the image would differ by about 50"
    _, size = decode.read_image(path, lambda height, width: 8)
    assert size == (600, 800) and decode.read_image(path, lambda h, w: 8)[0].shape == (3, 75, 100)


@pytest.mark.parametrize("height, width", [(375, 500), (500, 60), (60, 500), (7, 7)])
def test_crops_that_are_resized_are_spread_as_those_of_torchvision(height, width):
    """Means and spreads of the box's centre, area and aspect over many draws."""
    scale, ratio, n = (0.08, 1.0), (3 / 4, 4 / 3), 3000
    candidates = resized_crops(torch.arange(n) * 977 + 5, scale, ratio)
    ours = torch.tensor([decode.crop_box(c, height, width, ratio) for c in candidates.tolist()], dtype=torch.float64)
    image = torch.zeros(1, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = torch.tensor([RandomResizedCrop.get_params(image, scale, ratio) for _ in range(n)]).double()
    for box in (ours, theirs):
        assert (box[:, :2] >= 0).all() and (box[:, 0] + box[:, 2] <= height).all()
        assert (box[:, 1] + box[:, 3] <= width).all() and (box[:, 2:] >= 1).all()

    def facts(box):
        top, left, tall, wide = box.unbind(1)
        return torch.stack([top + tall / 2, left + wide / 2, (tall * wide).sqrt(), (wide / tall).log()])

    a, b = facts(ours), facts(theirs)
    error = (a.var(1) / n + b.var(1) / n).sqrt() + 1e-9
    assert ((a.mean(1) - b.mean(1)).abs() / error < 4.5).all()
    assert torch.allclose(a.std(1), b.std(1), rtol=0.1, atol=0.01)


def test_a_crop_box_by_hand():
    ratio = (0.5, 2.0)
    assert decode.crop_box([(0.25, 1.0, 0.0, 0.999)], 40, 60, ratio) == (0, 36, 24, 24)
    side = round(math.sqrt(40 * 60))  # 49 rows do not fit, the second candidate does
    assert side == 49 and decode.crop_box([(1.0, 1.0, 0, 0), (0.5, 1.5, 0.5, 0.5)], 40, 60, ratio) == (6, 9, 28, 42)
    assert decode.crop_box([(1.0, 1.0, 0, 0)], 40, 60, ratio) == (0, 0, 40, 60), "nothing fits: all of it"
    assert decode.crop_box([(1.0, 1.0, 0, 0)], 10, 60, ratio) == (0, 20, 10, 20), "too wide: the middle"
    assert decode.crop_box([(1.0, 1.0, 0, 0)], 60, 10, ratio) == (20, 0, 20, 10)


def test_candidates_are_functions_of_their_keys():
    keys = torch.tensor([3, 99, 12345678901234])
    all_three = resized_crops(keys, (0.08, 1), (0.75, 1.5))
    assert all_three.shape == (3, 10, 4)
    assert torch.equal(all_three[1], resized_crops(keys[1], (0.08, 1), (0.75, 1.5)))
    many = resized_crops(torch.arange(2000), (0.08, 1), (0.75, 1.5)).flatten(0, 1)
    for values, low, high in zip(many.unbind(1), (0.08, math.log(0.75), 0, 0), (1, math.log(1.5), 1, 1), strict=True):
        values = values.log() if low < 0 else values
        assert low <= values.min() and values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=4.5 * (high - low) / math.sqrt(12 * 20_000))
    assert (torch.corrcoef(many.T) - torch.eye(4)).abs().max() < 4.5 / math.sqrt(20_000)


# -- greys of more than 8 bits, palettes, transparency, CMYK -------------------------------------------------------

RAMP = np.tile(np.linspace(0, 255, 64), (48, 1))


def grey(name, folder):
    """A file with the grey ramp of 0 to 255, or what its format makes of it, under ``name``."""
    path, words = folder / name, (RAMP * 257).round().astype(np.uint16)
    if name == "big_endian.tif":
        Image.frombytes("I;16B", (64, 48), words.astype(">u2").tobytes()).save(path)
    elif name == "16.pgm":
        path.write_bytes(b"P5 64 48 65535\n" + words.astype(">u2").tobytes())
    elif name == "10.pgm":
        path.write_bytes(b"P5 64 48 1023\n" + (RAMP * 1023 / 255).round().astype(">u2").tobytes())
    elif name.startswith("float"):
        Image.fromarray((RAMP / 255).astype(np.float32)).save(path)
    else:
        Image.fromarray(words if name.startswith("16") else RAMP.round().astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("name", ["8.png", "16.png", "16.tif", "16.jp2", "16.pgm", "10.pgm", "big_endian.tif",
                                  "float.tif"])
def test_greys_of_any_depth_are_scaled_to_8_bits(tmp_path, name):
    actual, _ = decode.read_image(grey(name, tmp_path))
    expected = torch.from_numpy(RAMP.round()).expand(3, 48, 64)
    assert actual.dtype == torch.uint8 and (actual.double() - expected).abs().max() <= 1
    assert torch.equal(actual, decode.pixels(Image.open(tmp_path / name))), "a path and a Pillow image are the same"


def test_sixteen_bits_are_scaled_by_257_and_rounded(tmp_path):
    values = np.array([[0, 128, 129, 257, 385, 386, 32768, 65406, 65407, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert decode.read_image(tmp_path / "a.png")[0][0, 0].tolist() == [0, 0, 1, 1, 1, 2, 128, 254, 255, 255]


@pytest.mark.parametrize("values, message", [
    ((RAMP * 257).astype(np.int32), "integers of mode I, from 0 to 65535"),
    (RAMP.astype(np.int32), "integers of mode I, from 0 to 255"),
    (-RAMP.astype(np.int32), "from -255 to 0"),
    (RAMP.astype(np.float32), r"outside \[0, 1\], from 0 to 255"),
    ((RAMP / 255 - 0.5).astype(np.float32), r"outside \[0, 1\], from -0.5 to 0.5"),
    (np.full((4, 4), np.nan, np.float32), r"outside \[0, 1\], from nan to nan"),
    (np.full((4, 4), np.inf, np.float32), r"outside \[0, 1\], from inf"),
])
def test_greys_whose_white_is_not_known_are_refused_by_their_range(tmp_path, values, message):
    Image.fromarray(values).save(tmp_path / "a.tif")
    for read in (lambda: decode.read_image(tmp_path / "a.tif"), lambda: decode.pixels(Image.open(tmp_path / "a.tif"))):
        with pytest.raises(ValueError, match=message + ".*8 or 16 bits"):
            read()


def test_tiff_that_counts_from_white_or_has_12_bits_is_not_taken_for_16_bits():
    image = Image.fromarray((RAMP * 16).astype(np.uint16))
    image.tag_v2 = {decode.BITS: (12,), decode.PHOTOMETRIC: 1}
    assert decode.white_of(image) == 4095
    image.tag_v2 = {decode.BITS: (16,), decode.PHOTOMETRIC: 1}
    assert decode.white_of(image) == 65535
    image.tag_v2 = {decode.BITS: (16,), decode.PHOTOMETRIC: decode.WHITE_IS_ZERO}
    assert decode.white_of(image) is None


@pytest.mark.parametrize("mode, name", [
    ("1", "a.png"), ("L", "a.jpg"), ("LA", "a.png"), ("P", "a.png"), ("P", "a.gif"), ("PA", "a.tif"), ("RGBA", "a.png"),
    ("RGBA", "a.webp"), ("CMYK", "a.jpg"), ("CMYK", "a.tif"), ("YCbCr", "a.tif"), ("LAB", "a.tif")])
def test_a_path_and_a_pillow_image_of_every_mode_are_the_same_pixels(picture, tmp_path, mode, name):
    _, image = picture("source.png")
    image = image.convert("RGB").convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(np.tile(np.linspace(0, 255, 90, dtype=np.uint8), (60, 1))))
    image.save(tmp_path / name, **dict(lossless=True, exact=True) if name == "a.webp" else {})
    actual, size = decode.read_image(tmp_path / name)
    assert size == (60, 90) and torch.equal(actual, decode.pixels(Image.open(tmp_path / name)))
    assert torch.equal(actual, tensor(Image.open(tmp_path / name).convert("RGB"))), "transparency is left out"


@pytest.mark.parametrize("mode", ["La", "RGBa"])
def test_premultiplied_transparency_is_converted(mode):
    image = Image.new(mode.replace("a", "A"), (4, 3), "white").convert(mode)
    assert torch.equal(decode.pixels(image), torch.full((3, 3, 4), 255, dtype=torch.uint8))


XMP = (b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
       b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>')


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("shrink", [None, lambda height, width: 2])
def test_every_way_to_say_an_orientation_counts_for_paths_and_pillow_images(picture, name, shrink):
    for turned in (1, 6, 9, 0):
        exif = Image.Exif()
        exif[0x0112] = turned
        path, image = picture(name, exif=exif)
        actual, size = decode.read_image(path, shrink)
        assert size == ((90, 60) if turned == 6 else (60, 90))
        if shrink is None:
            assert torch.equal(actual, decode.pixels(image))
    if name == "a.jpg":
        path, image = picture(name, xmp=XMP)
        actual, size = decode.read_image(path, shrink)
        assert size == (90, 60) and (shrink or torch.equal(actual, decode.pixels(image)))


def test_training_in_memory_streaming_and_classifying_read_the_same_pixels(tmp_path):
    import openmix
    from openmix.datasets import ImageFolderData, make_loader

    for label, names in enumerate([["8.png", "16.png"], ["16.tif", "float.tif"]]):
        (tmp_path / "train" / f"c{label}").mkdir(parents=True)
        for name in names:
            grey(name, tmp_path / "train" / f"c{label}")
    sets = [ImageFolderData(tmp_path, "train", size=48, resident=resident) for resident in (True, False)]
    batches = [next(iter(make_loader(data, train=False, num_workers=0) if not data.resident
                         else make_loader(data, train=False)))[0] for data in sets]
    assert torch.equal(*batches) and batches[0].std((2, 3)).min() > 0.1, "none is all white"

    class Seen(torch.nn.Module):
        trained_on = dict(size=(48, 48), mean=sets[0].mean, std=sets[0].std)

        def forward(self, images):
            self.images = images
            return images.mean((2, 3))

    net, paths = Seen(), sets[1].paths
    for given in (paths, [Image.open(path) for path in paths]):
        openmix.infer(net, given, device="cpu")
        torch.testing.assert_close(net.images, batches[0])


def test_a_grey_of_unknown_range_stops_reading_with_its_path(tmp_path):
    import openmix
    from openmix.datasets import ImageFolderData

    (tmp_path / "train" / "a").mkdir(parents=True)
    path = tmp_path / "train" / "a" / "x.tif"
    Image.fromarray(RAMP.astype(np.float32)).save(path)
    with pytest.raises(ValueError, match="x.tif .*outside .0, 1.*"):
        ImageFolderData(tmp_path, "train", size=48, resident=True)
    net = torch.nn.Flatten()
    net.trained_on = dict(size=(48, 48), mean=(0.5,) * 3, std=(0.25,) * 3)
    for given in (path, Image.open(path)):
        with pytest.raises(ValueError, match="x.tif cannot be read as an image .*outside .0, 1."):
            openmix.infer(net, given, device="cpu")
