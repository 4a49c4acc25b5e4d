#!/usr/bin/env python3
"""Sheets of drawings: comic panels, line art, halftone and text, of public-domain clip art.

usage: drawn.py OUT [--train 320] [--val 10] [--test 16] [--clipart DIR] [--fonts DIR]

Needs rsvg-convert (Debian: librsvg2-bin), Pillow, the package openclipart-svg and some fonts. A clip art is of one of the three sets by the
hash of its path, so that none is in two.
"""

import argparse
import colorsys
import hashlib
import io
import pathlib
import random
import shutil
import subprocess

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

SIDE = 1024
WORDS = """the of and a to in he have it that for they with as not on she at by this we you do but from or which one would all will there say who
make when can more if no man out other so what time up go about than into could state only new year some take come these know see use get like
then first any work now may such give over think most even find day also after way many must look before great back through long where much
should well people down own just because good each those feel seem how high too place little world very still nation hand old life tell write
become here show house both between need mean call develop under last right move thing general school never same another begin while number
part turn real leave might want point form off child few small since against ask late home interest large person end open public follow during
present without again hold govern around possible head consider word program problem however lead system set order eye plan run keep face fact
group play stand increase early course change help line""".split()


def set_of(path):
    """0 to 99: which hundredth of all clip art it is of."""
    return int(hashlib.sha256(path.encode()).hexdigest()[:8], 16) % 100


def rendered(path, side):
    """A clip art with alpha, its longer side so many pixels; None where it cannot be drawn or is nearly nothing."""
    command = ["rsvg-convert", "--keep-aspect-ratio", "--width", str(side), "--height", str(side), str(path)]
    try:
        png = subprocess.run(command, capture_output=True, timeout=10, check=True).stdout
        image = Image.open(io.BytesIO(png)).convert("RGBA")
    except (subprocess.SubprocessError, OSError):
        return None
    box = image.getchannel("A").getbbox()
    if not box or min(box[2] - box[0], box[3] - box[1]) < side / 6:
        return None
    return image.crop(box)


def colour(random, light=False):
    """A colour as people paint with; a light one for grounds."""
    hue, strong = random.random(), random.choice([0.0, 0.2, 0.5, 0.9])
    value = random.uniform(0.8, 1.0) if light else random.uniform(0.0, 0.9)
    return tuple(round(255 * v) for v in colorsys.hsv_to_rgb(hue, strong * (0.35 if light else 1.0), value))


def sentence(random, length):
    words = [random.choice(WORDS) for _ in range(length)]
    text = " ".join(words) + random.choice([".", "!", "?", "…"])
    return text.upper() if random.random() < 0.4 else text.capitalize()


def wrapped(draw, text, font, width):
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if draw.textlength(longer, font=font) > width and line:
            lines.append(line)
            line = word
        else:
            line = longer
    return [*lines, line]


def write_text(draw, random, fonts, box, ink, size):
    """Fills a box with text."""
    font = ImageFont.truetype(str(random.choice(fonts)), size)
    x, y, right, bottom = box
    step = round(size * random.uniform(1.15, 1.4))
    lines = []
    while len(lines) * step < bottom - y:
        lines += wrapped(draw, sentence(random, random.randint(4, 14)), font, right - x)
    for line in lines:
        if y + size > bottom:
            break
        draw.text((x, y), line, font=font, fill=ink)
        y += step


def gradient(size, top, bottom):
    column = Image.new("RGB", (1, size[1]))
    for y in range(size[1]):
        share = y / max(size[1] - 1, 1)
        column.putpixel((0, y), tuple(round(a + (b - a) * share) for a, b in zip(top, bottom)))
    return column.resize(size)


def smooth(page, box, paint):
    """Paints shapes whose edges are smooth: by `paint(draw, n)`, n times as large and with the box's corner as origin."""
    n, (x, y, right, bottom) = 4, box
    layer = Image.new("RGBA", (n * (right - x), n * (bottom - y)))
    paint(ImageDraw.Draw(layer), n)
    layer = layer.resize((right - x, bottom - y), Image.Resampling.LANCZOS)
    page.paste(layer, (x, y), layer)


def rounded(page, shape, radius, line=1, **colours):
    """A rectangle with round corners."""
    x, y, right, bottom = shape

    def paint(draw, n):
        draw.rounded_rectangle((0, 0, n * (right - x) - 1, n * (bottom - y) - 1), radius=n * radius, width=n * line, **colours)

    smooth(page, shape, paint)


def balloon(page, random, fonts, box, zoom):
    """A speech balloon at the top of a panel."""
    draw = ImageDraw.Draw(page)
    x, y, right, bottom = box
    size = round(zoom * random.randint(16, 34))
    font = ImageFont.truetype(str(random.choice(fonts)), size)
    width = round((right - x) * random.uniform(0.45, 0.8))
    lines = wrapped(draw, sentence(random, random.randint(2, 8)), font, width - 2 * size)
    height = round(size * 1.25 * len(lines) + 1.6 * size)
    if height > (bottom - y) * 0.6:
        return
    left = random.randint(x + 8, max(x + 8, right - width - 8))
    shape = (left, y + 8, left + width, y + 8 + height)
    line = round(zoom * random.randint(2, 4))
    tip = [(width * 0.3, height - line), (width * 0.45, height - line), (width * 0.35, height + 2.2 * size)]

    def paint(draw, n):
        draw.rounded_rectangle((0, 0, n * width - 1, n * height - 1), radius=n * size, fill="white", outline="black", width=n * line)
        a, b, c = [(n * u, n * v) for u, v in tip]
        draw.polygon([(a[0], a[1] - n), (b[0], b[1] - n), c], fill="white")
        draw.line([a, c, b], fill="black", width=n * line, joint="curve")

    smooth(page, (*shape[:2], shape[2], shape[3] + round(2.2 * size) + 2 * line), paint)
    for i, text in enumerate(lines):
        length = draw.textlength(text, font=font)
        draw.text((left + (width - length) / 2, y + 8 + 0.7 * size + 1.25 * size * i), text, font=font, fill="black")


def panel(random, clipart, fonts, size):
    """A picture of one or two clip arts on a ground."""
    kind = random.random()
    if kind < 0.35:
        ground = Image.new("RGB", size, "white")
    elif kind < 0.7:
        ground = Image.new("RGB", size, colour(random, light=True))
    else:
        ground = gradient(size, colour(random, light=True), colour(random, light=random.random() < 0.7))
    for _ in range(random.choice([2, 2, 3])):
        art = None
        while art is None:
            art = rendered(random.choice(clipart), random.randint(min(size) // 2, max(min(size), 64)))
        if random.random() < 0.5:
            art = art.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        place = [random.randint(-art.size[i] // 4, max(size[i] - 3 * art.size[i] // 4, -art.size[i] // 4 + 1)) for i in (0, 1)]
        ground.paste(art, tuple(place), art)
    return ground


def inked(random, image, zoom):
    """The same in black ink: outlines, and black where it is dark; no greys but those of smooth edges."""
    grey = image.convert("L").resize([2 * s for s in image.size], Image.Resampling.LANCZOS)
    soft = grey.filter(ImageFilter.GaussianBlur(zoom * random.uniform(1.5, 2.5)))
    edges = ImageChops.difference(soft, soft.filter(ImageFilter.GaussianBlur(4 * zoom)))
    line = edges.point(lambda v: 0 if v > 10 else 255)
    dark = soft.point(lambda v: 0 if v < 60 else 255)
    both = ImageChops.multiply(line, dark).filter(ImageFilter.GaussianBlur(1.2)).point(lambda v: max(0, min(255, round((v - 128) * 2.2 + 128))))
    return both.resize(image.size, Image.Resampling.LANCZOS).convert("RGB")


def screened(random, image, zoom):
    """Greys as dots, as in print."""
    period, times = round(zoom * random.choice([5, 6, 8, 10])), 3
    grey = image.convert("L").filter(ImageFilter.GaussianBlur(1)).resize([times * s for s in image.size], Image.Resampling.BICUBIC)
    cell = period * times
    dots = Image.new("L", (cell, cell))
    for y in range(cell):
        for x in range(cell):
            u, v = (x + y) / cell - 1, (x - y) / cell
            dots.putpixel((x, y), round(255 * min(1, 2 * min((u - round(u)) ** 2 + (v - round(v)) ** 2, 0.5))))
    screen = Image.new("L", grey.size)
    for y in range(0, grey.size[1], cell):
        for x in range(0, grey.size[0], cell):
            screen.paste(dots, (x, y))
    # Black and white stay what they are.
    level = grey.point(lambda v: 0 if v < 20 else 255 if v > 235 else v)
    mixed = ImageChops.subtract(level, screen, scale=1, offset=128).point(lambda v: 255 if v > 128 else 0)
    mixed.paste(0, mask=level.point(lambda v: 255 if v == 0 else 0))
    mixed.paste(255, mask=level.point(lambda v: 255 if v == 255 else 0))
    return mixed.resize(image.size, Image.Resampling.LANCZOS).convert("RGB")


def comic(random, clipart, fonts, zoom):
    """A page of panels."""
    gutter = round(zoom * random.randint(8, 24))
    page = Image.new("RGB", (SIDE, SIDE), random.choice(["white", "white", "black", colour(random, light=True)]))
    draw = ImageDraw.Draw(page)
    most = 3 if zoom < 1.7 else 2
    rows = random.randint(most - 1, most)
    treat = random.choices([None, inked, screened], [0.6, 0.2, 0.2])[0]
    for row in range(rows):
        columns = random.randint(1, most)
        for column in range(columns):
            x, right = (round(SIDE * c / columns) + gutter // 2 for c in (column, column + 1))
            y, bottom = (round(SIDE * r / rows) + gutter // 2 for r in (row, row + 1))
            right, bottom = right - gutter, bottom - gutter
            picture = panel(random, clipart, fonts, (right - x, bottom - y))
            page.paste(treat(random, picture, zoom) if treat else picture, (x, y))
            if random.random() < 0.6:
                balloon(page, random, fonts, (x, y, right, bottom), zoom)
            draw.rectangle((x, y, right, bottom), outline="black", width=round(zoom * random.randint(1, 5)))
    return page


def screenshot(random, clipart, fonts, zoom):
    """Windows with text, buttons and pictures, as on a screen."""
    page = gradient((SIDE, SIDE), colour(random, light=True), colour(random))
    draw = ImageDraw.Draw(page)
    for _ in range(random.randint(3, 5)):
        width, height = (round(min(zoom, 1.3) * random.randint(*ends)) for ends in ((360, 800), (260, 620)))
        x, y = random.randint(-40, max(SIDE - width + 40, -40)), random.randint(-40, max(SIDE - height + 40, -40))
        dark = random.random() < 0.3
        ground, ink = ("#202124", "#e8eaed") if dark else (random.choice(["white", "#f5f5f5", colour(random, light=True)]), random.choice(["black", "#202124", "#303060"]))
        rounded(page, (x, y, x + width, y + height), random.choice([0, 6, 10]), fill=ground, outline="#808080")
        draw.rectangle((x + 1, y + 1, x + width - 1, y + 30), fill=colour(random))
        title = ImageFont.truetype(str(random.choice(fonts)), 16)
        draw.text((x + 12, y + 6), sentence(random, 3), font=title, fill="white")
        if random.random() < 0.5:
            picture = panel(random, clipart, fonts, (width // 3, height // 2))
            page.paste(picture, (x + width - width // 3 - 12, y + 44))
            box = (x + 12, y + 44, x + width - width // 3 - 24, y + height - 50)
        else:
            box = (x + 12, y + 44, x + width - 12, y + height - 50)
        write_text(draw, random, fonts, box, ink, round(zoom * random.choice([12, 13, 14, 16, 18, 22, 28])))
        button = ImageFont.truetype(str(random.choice(fonts)), 14)
        rounded(page, (x + width - 110, y + height - 40, x + width - 16, y + height - 12), 4, fill=colour(random), outline="#404040")
        draw.text((x + width - 96, y + height - 35), random.choice(WORDS).capitalize(), font=button, fill="white")
    return page


def page_of_text(random, clipart, fonts, zoom):
    """Printed text in columns, with a figure."""
    ground, ink = random.choice([("white", "black"), ("white", "#202020"), ("#fbf6e9", "#2b2118"), ("#111111", "#dddddd")])
    page = Image.new("RGB", (SIDE, SIDE), ground)
    draw = ImageDraw.Draw(page)
    columns = random.randint(1, 3 if zoom < 1.7 else 1)
    for column in range(columns):
        x, right = round(SIDE * column / columns) + 24, round(SIDE * (column + 1) / columns) - 24
        y = random.randint(16, 60)
        if random.random() < 0.6:
            write_text(draw, random, fonts, (x, y, right, y + 100), ink, round(zoom * random.randint(26, 40)))
            y += 110
        if random.random() < 0.4:
            art = rendered(random.choice(clipart), right - x)
            if art:
                page.paste(art, (x, y), art)
                y += art.size[1] + 16
        write_text(draw, random, fonts, (x, y, right, SIDE - 20), ink, round(zoom * random.choice([11, 12, 14, 16, 18, 20, 24, 30])))
    return page


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--train", type=int, default=320)
    parser.add_argument("--val", type=int, default=10)
    parser.add_argument("--test", type=int, default=16)
    parser.add_argument("--clipart", type=pathlib.Path, default=pathlib.Path("/usr/share/openclipart/svg"))
    parser.add_argument("--fonts", type=pathlib.Path, default=pathlib.Path("/usr/share/fonts/truetype"))
    asked = parser.parse_args()
    if not shutil.which("rsvg-convert"):
        parser.error("rsvg-convert is not here: install librsvg2-bin")
    if not asked.clipart.is_dir():
        parser.error(f"{asked.clipart} is not here: install openclipart-svg, or give --clipart")
    fonts = sorted(p for p in asked.fonts.rglob("*.ttf") if not any(w in p.name for w in ("Symbol", "Math", "Emoji")))
    # Marks of companies are theirs, whoever drew them.
    every = sorted(p for p in asked.clipart.rglob("*.svg") if "logos" not in p.parts)
    kinds = [(comic, 0.55), (screenshot, 0.25), (page_of_text, 0.2)]
    for name, count, seed, wanted in [("train", asked.train, 1, range(10, 100)), ("val", asked.val, 2, range(5)), ("test", asked.test, 3, range(5, 10))]:
        folder = asked.out / name
        folder.mkdir(parents=True, exist_ok=True)
        clipart = [p for p in every if set_of(str(p.relative_to(asked.clipart))) in wanted]
        for i in range(count):
            # A sheet depends on its number alone.
            own = random.Random(f"{seed}-{i}")
            make = own.choices([k for k, _ in kinds], [w for _, w in kinds])[0]
            # From thumbnails of pages to single panels.
            zoom = own.uniform(1, 3)
            make(own, clipart, fonts, zoom).save(folder / f"{make.__name__.replace('_', '-')}-{i:03}.png")


if __name__ == "__main__":
    main()
