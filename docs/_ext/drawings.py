"""Drawings for the pictures of the documents: eight things, each in a scene of its own. Anybody may use them."""
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

FINE = 512  # pixels of a side, before it is made smaller


def gradient(top, bottom, height: int = FINE) -> Image.Image:
    share = np.linspace(0, 1, height)[:, None, None]
    colours = (1 - share) * np.array(top) + share * np.array(bottom)
    return Image.fromarray(np.broadcast_to(colours, (height, FINE, 3)).astype(np.uint8))


# -- scenes ----------------------------------------------------------------------------------------------------------


def sea() -> Image.Image:
    image = gradient((70, 60, 130), (255, 170, 90))
    image.paste(gradient((60, 90, 150), (15, 35, 80), 190), (0, 322))
    pen = ImageDraw.Draw(image)
    pen.ellipse((330, 190, 450, 310), fill=(255, 236, 160))
    for k in range(9):
        pen.line((300 - 12 * k, 336 + 19 * k, 480 - 5 * k, 336 + 19 * k), fill=(240, 180, 120), width=4)
    return image


def wood() -> Image.Image:
    image = gradient((40, 90, 60), (130, 180, 80))
    pen = ImageDraw.Draw(image)
    for x, width, shade in ((30, 44, 34), (130, 26, 50), (400, 34, 44), (470, 54, 30)):
        pen.rectangle((x, 0, x + width, 400), fill=(shade + 20, shade + 8, shade - 6))
    image = image.filter(ImageFilter.GaussianBlur(5))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 396, FINE, FINE), fill=(62, 110, 40))
    for x in range(0, FINE, 16):
        pen.polygon([(x, 402), (x + 6, 360 + x * 37 % 26), (x + 14, 402)], fill=(62, 110, 40))
    return image


def hills() -> Image.Image:
    image = gradient((120, 190, 235), (225, 240, 250))
    pen = ImageDraw.Draw(image)
    pen.ellipse((-220, 300, 330, 760), fill=(110, 170, 80))
    pen.ellipse((190, 330, 760, 800), fill=(80, 145, 70))
    for x, y in ((60, 90), (330, 60)):
        for dx, r in ((0, 26), (34, 36), (72, 26)):
            pen.ellipse((x + dx - r, y - r, x + dx + r, y + r), fill=(255, 255, 255))
    return image


def night() -> Image.Image:
    image = gradient((10, 12, 45), (60, 50, 110))
    pen = ImageDraw.Draw(image)
    for k in range(40):
        x, y = k * 197 % FINE, k * 131 % 330
        pen.ellipse((x, y, x + 4, y + 4), fill=(255, 250, 220))
    pen.ellipse((390, 50, 460, 120), fill=(245, 240, 210))
    pen.rectangle((0, 420, FINE, FINE), fill=(35, 32, 60))
    return image


def reef() -> Image.Image:
    image = gradient((80, 190, 210), (10, 70, 120))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 450, FINE, FINE), fill=(214, 190, 130))
    for x, colour in ((40, (200, 80, 110)), (110, (90, 150, 90)), (420, (220, 120, 70)), (470, (90, 150, 90))):
        for k in (-1, 0, 1):
            pen.line((x, 460, x + 26 * k, 350 + 18 * abs(k)), fill=colour, width=14)
    return image


def desert() -> Image.Image:
    image = gradient((250, 200, 120), (255, 235, 190))
    pen = ImageDraw.Draw(image)
    pen.polygon([(0, 360), (150, 290), (300, 370), (420, 320), (FINE, 380), (FINE, FINE), (0, FINE)],
                fill=(226, 160, 90))
    pen.rectangle((0, 420, FINE, FINE), fill=(210, 140, 76))
    return image


def room() -> Image.Image:
    image = gradient((205, 190, 215), (225, 210, 225))
    pen = ImageDraw.Draw(image)
    for x in range(0, FINE, 64):
        pen.rectangle((x, 0, x + 20, 380), fill=(192, 174, 205))
    pen.rectangle((0, 380, FINE, FINE), fill=(150, 105, 75))
    for y in range(400, FINE, 36):
        pen.line((0, y, FINE, y), fill=(132, 90, 62), width=4)
    return image


def snow() -> Image.Image:
    image = gradient((150, 175, 205), (215, 225, 240))
    pen = ImageDraw.Draw(image)
    pen.polygon([(0, 330), (130, 150), (250, 330)], fill=(120, 135, 165))
    pen.polygon([(200, 330), (370, 110), (540, 330)], fill=(135, 150, 180))
    pen.polygon([(316, 180), (370, 110), (424, 180), (370, 205)], fill=(245, 248, 255))
    pen.rectangle((0, 326, FINE, FINE), fill=(238, 243, 252))
    return image


# -- things ----------------------------------------------------------------------------------------------------------


def boat(pen) -> None:
    pen.line((216, 70, 216, 350), fill=(70, 45, 30), width=10)
    pen.polygon([(204, 80), (204, 330), (70, 330)], fill=(250, 250, 245))
    pen.polygon([(228, 100), (228, 330), (330, 330)], fill=(220, 60, 50))
    pen.polygon([(60, 346), (372, 346), (310, 418), (120, 418)], fill=(90, 55, 35))
    pen.line((64, 352, 368, 352), fill=(240, 230, 210), width=9)


def toadstool(pen) -> None:
    pen.polygon([(214, 250), (300, 250), (326, 436), (190, 436)], fill=(242, 232, 208))
    pen.pieslice((84, 78, 430, 444), 180, 360, fill=(204, 36, 30))
    pen.ellipse((84, 236, 430, 288), fill=(244, 220, 190))
    for x, y, r in ((170, 190, 25), (252, 126, 22), (270, 206, 30), (346, 172, 21), (372, 232, 13), (124, 232, 13)):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 240))


def balloon(pen) -> None:
    for left, right, colour in ((120, 392, (230, 70, 60)), (166, 346, (250, 190, 60)), (218, 294, (230, 70, 60))):
        pen.ellipse((left, 50, right, 340), fill=colour)
    for x in (200, 312):
        pen.line((x, 326, 256 + (x - 256) * 0.6, 400), fill=(80, 60, 50), width=5)
    pen.rectangle((220, 396, 292, 452), fill=(140, 95, 55))


def lighthouse(pen) -> None:
    pen.polygon([(196, 150), (316, 150), (344, 460), (168, 460)], fill=(245, 245, 240))
    for y in (190, 280, 370):
        pen.polygon([(196 - (y - 150) * 0.09, y), (316 + (y - 150) * 0.09, y), (320 + (y - 110) * 0.09, y + 44),
                     (192 - (y - 110) * 0.09, y + 44)], fill=(200, 40, 45))
    pen.rectangle((206, 96, 306, 150), fill=(255, 230, 120))
    pen.polygon([(190, 98), (322, 98), (256, 44)], fill=(200, 40, 45))


def fish(pen) -> None:
    pen.polygon([(360, 250), (470, 160), (470, 350)], fill=(240, 130, 40))
    pen.polygon([(190, 180), (300, 180), (270, 100)], fill=(240, 130, 40))
    pen.ellipse((70, 150, 400, 352), fill=(250, 150, 50))
    for x in (180, 280):
        pen.chord((x, 160, x + 60, 342), 80, 280, fill=(255, 250, 240))
    pen.ellipse((108, 206, 150, 248), fill=(255, 255, 255))
    pen.ellipse((118, 216, 140, 238), fill=(20, 20, 30))


def cactus(pen) -> None:
    green = (50, 130, 70)
    pen.rounded_rectangle((210, 90, 302, 450), 46, fill=green)
    pen.rounded_rectangle((96, 190, 150, 310), 27, fill=green)
    pen.rectangle((122, 268, 230, 310), fill=green)
    pen.rounded_rectangle((362, 140, 416, 270), 27, fill=green)
    pen.rectangle((282, 228, 390, 270), fill=green)
    for k in range(7):
        pen.line((236 + 40 * (k % 2), 130 + 44 * k, 250 + 40 * (k % 2), 144 + 44 * k), fill=(225, 235, 190), width=5)
    pen.ellipse((228, 66, 284, 112), fill=(230, 80, 140))


def cat(pen) -> None:
    grey = (95, 90, 105)
    pen.arc((300, 250, 460, 440), 200, 80, fill=grey, width=30)
    pen.ellipse((130, 240, 382, 470), fill=grey)
    pen.polygon([(156, 190), (170, 70), (250, 130)], fill=grey)
    pen.polygon([(356, 190), (342, 70), (262, 130)], fill=grey)
    pen.ellipse((146, 100, 366, 300), fill=grey)
    for x in (208, 304):
        pen.ellipse((x - 24, 172, x + 24, 220), fill=(225, 215, 90))
        pen.ellipse((x - 7, 174, x + 7, 218), fill=(20, 20, 30))
    pen.polygon([(244, 236), (268, 236), (256, 252)], fill=(230, 130, 140))


def snowman(pen) -> None:
    for y, r in ((370, 100), (230, 74), (124, 54)):
        pen.ellipse((256 - r, y - r, 256 + r, y + r), fill=(252, 252, 255), outline=(175, 190, 215), width=5)
    pen.rectangle((200, 74, 312, 90), fill=(35, 35, 45))
    pen.rectangle((220, 14, 292, 80), fill=(35, 35, 45))
    pen.polygon([(256, 118), (256, 138), (316, 132)], fill=(240, 130, 40))
    pen.polygon([(190, 168), (322, 168), (322, 196), (190, 196)], fill=(205, 45, 50))
    for x, y in ((236, 108), (276, 108), (256, 226), (256, 264)):
        pen.ellipse((x - 8, y - 8, x + 8, y + 8), fill=(35, 35, 45))


DRAWINGS: dict[str, tuple[Callable, Callable]] = {
    "sailing boat": (sea, boat), "balloon": (hills, balloon), "snowman": (snow, snowman),
    "lighthouse": (night, lighthouse), "fish": (reef, fish), "cactus": (desert, cactus), "cat": (room, cat),
    "toadstool": (wood, toadstool)}


def image(scene: Callable, thing: Callable, side: int) -> torch.Tensor:
    """A thing in a scene, (3, side, side) in [0, 1]."""
    picture = scene()
    thing(ImageDraw.Draw(picture))
    small = np.array(picture.resize((side, side), Image.Resampling.LANCZOS))
    return torch.from_numpy(small).permute(2, 0, 1).float() / 255


def images(side: int) -> torch.Tensor:
    """All drawings, (8, 3, side, side) in [0, 1]."""
    return torch.stack([image(*drawing, side) for drawing in DRAWINGS.values()])


def swapped(side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Each thing in each scene, (64, 3, side, side), and labels (64,): so that a network looks at the things."""
    scenes, things = zip(*DRAWINGS.values(), strict=True)
    every = [image(scene, thing, side) for thing in things for scene in scenes]
    return torch.stack(every), torch.arange(len(things)).repeat_interleave(len(scenes))
