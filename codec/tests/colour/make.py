"""Makes the files beside it (Pillow 13, its LittleCMS 2.19): 24x16 pixels, 4x4 to a cell, whose values CELLS tells."""
import io
import struct
from pathlib import Path

from PIL import Image, ImageCms

HERE = Path(__file__).parent
CELLS = [
    (10, 10, 10), (30, 60, 90), (128, 128, 128), (200, 60, 20), (20, 200, 40), (240, 240, 240),
    (60, 60, 60), (180, 30, 120), (90, 160, 200), (220, 220, 30), (0, 0, 0), (255, 255, 255),
    (100, 100, 100), (150, 90, 60), (60, 90, 150), (90, 150, 60), (200, 200, 200), (40, 40, 80),
    (120, 60, 60), (60, 120, 60), (60, 60, 120), (170, 170, 120), (170, 120, 170), (120, 170, 170),
]
P3 = [[0.515121, 0.291977, 0.157104], [0.241196, 0.692245, 0.066574], [-0.001053, 0.041885, 0.784073]]


def picture(mode):
    small = Image.new("RGB", (6, 4))
    small.putdata(CELLS)
    if mode == "L":
        small = small.getchannel(0)
    return small.resize((24, 16), Image.NEAREST)


def fixed(x):
    return struct.pack(">i", round(x * 65536))


def xyz(*v):
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, v))


def gamma(g):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(g * 256)) + b"\0\0"


def profile(space, tags, pcs=b"XYZ ", version=0x02400000):
    text = b"text\0\0\0\0CC0\0"
    desc = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + b"\0" * 78
    tags = [(b"desc", desc + b"\0" * (-len(desc) % 4)), (b"cprt", text), (b"wtpt", xyz(0.9642, 1, 0.8249)), *tags]
    at = 128 + 4 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, body in tags:
        table += struct.pack(">4sII", name, at + len(data), len(body))
        data += body
    head = struct.pack(">I4sI4s4s4s12s4s", at + len(data), b"\0" * 4, version, b"mntr", space, pcs,
                       struct.pack(">6H", 2026, 11, 29, 0, 0, 0), b"acsp")
    head += b"\0" * 28 + fixed(0.9642) + fixed(1) + fixed(0.8249)
    return head + b"\0" * (128 - len(head)) + table + data


def matrix_profile(g):
    columns = [xyz(*(row[i] for row in P3)) for i in range(3)]
    return profile(b"RGB ", [*zip([b"rXYZ", b"gXYZ", b"bXYZ"], columns)] + [(c + b"TRC", gamma(g)) for c in (b"r", b"g", b"b")])


def lut_profile():
    """P3 of gamma 2, as a table of 9 x 9 x 9 colours in Lab (mft2)."""
    def lab(r, g, b):
        light = [v ** 2 for v in (r, g, b)]
        f = [sum(m * v for m, v in zip(row, light)) / w for row, w in zip(P3, (0.9642, 1, 0.8249))]
        f = [t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116 for t in f]
        return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])
    n = 9
    table = b"".join(
        struct.pack(">3H", round(max(0, l) * 652.8), round((a + 128) * 256), round((b + 128) * 256))
        for l, a, b in (lab(r / (n - 1), g / (n - 1), b / (n - 1)) for r in range(n) for g in range(n) for b in range(n)))
    body = b"mft2\0\0\0\0" + bytes([3, 3, n, 0]) + b"".join(map(fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1))) + struct.pack(">2H", 2, 2)
    body += struct.pack(">2H", 0, 65535) * 3 + table + struct.pack(">2H", 0, 65535) * 3
    return profile(b"RGB ", [(b"A2B0", body)], b"Lab ")


def bmp(bits, alpha, colours, icc=b"", version=5, gammas=(0, 0, 0), ends=(0,) * 9):
    rows = b""
    for y in reversed(range(16)):
        for x in range(24):
            r, g, b = CELLS[y // 4 * 6 + x // 4]
            if bits == 32:
                rows += bytes([b, g, r, alpha(x, y)])
            else:
                rows += bytes([b, g, r])
    size = {4: 108, 5: 124}[version]
    head = struct.pack("<IiiHHIIiiII", size, 24, 16, 1, bits, 0, len(rows), 3780, 3780, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000 if bits == 32 else 0) + colours
    head += b"".join(struct.pack("<i", round(e * 2**30)) for e in ends) + b"".join(struct.pack("<I", round(g * 65536)) for g in gammas)
    if version == 5:
        head += struct.pack("<4I", 4, size + len(rows) if icc else 0, len(icc), 0)
    return b"BM" + struct.pack("<IHHI", 14 + size + len(rows) + len(icc), 0, 0, 14 + size) + head + rows + icc


EXIF = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'

if __name__ == "__main__":
    rgb, grey = picture("RGB"), picture("L")
    linear, p3, lut = matrix_profile(1.0), matrix_profile(2.2), lut_profile()
    grey_linear = profile(b"GRAY", [(b"kTRC", gamma(1.0))])
    save = lambda image, name, **kw: image.save(HERE / name, **kw)
    whole = dict(quality=100, subsampling=0)
    save(rgb, "p3.jpg", icc_profile=p3, dpi=(300, 300), **whole)
    save(rgb, "lut.webp", lossless=True, icc_profile=lut)
    save(grey, "grey-of-rgb.jpg", icc_profile=linear, **whole)
    save(grey, "grey.jpg", icc_profile=grey_linear, **whole)
    out = io.BytesIO()
    rgb.save(out, "WEBP", lossless=True, icc_profile=linear, exif=EXIF, xmp=XMP)
    # With the prefix that only JPEG should have.
    webp = out.getvalue().replace(b"EXIF\x1a\0\0\0", b"EXIF\x20\0\0\0Exif\0\0")
    (HERE / "linear.webp").write_bytes(webp[:4] + struct.pack("<I", len(webp) - 8) + webp[8:])
    info = {700: XMP, 315: "A. Author", 274: 6, 34665: {36867: "2026:11:29 12:00:00"}}
    save(rgb, "linear.tif", icc_profile=linear, tiffinfo=info, dpi=(300, 150), compression="raw")
    # Half transparent in the left half, wholly in the last column; colours multiplied by alpha.
    pixels = []
    for i, c in enumerate(rgb.get_flattened_data()):
        a = 0 if i % 24 == 23 else 128 if i % 24 < 12 else 255
        pixels.append((*(round(v * a / 255) for v in c), a))
    associated = Image.new("RGBA", rgb.size)
    associated.putdata(pixels)
    out = io.BytesIO()
    associated.save(out, "TIFF", compression="raw")
    tiff = bytearray(out.getvalue())
    at, = struct.unpack("<I", tiff[4:8])
    for i in range(*struct.unpack("<H", tiff[at:at + 2])):
        entry = at + 2 + 12 * i
        if tiff[entry:entry + 2] == struct.pack("<H", 338):
            tiff[entry + 8:entry + 10] = struct.pack("<H", 1)
    (HERE / "associated.tif").write_bytes(tiff)
    (HERE / "alpha.bmp").write_bytes(bmp(32, lambda x, y: 128 if x < 12 else 255, b"BGRs"))
    (HERE / "no-alpha.bmp").write_bytes(bmp(32, lambda x, y: 0, b"BGRs", version=4))
    (HERE / "profile.bmp").write_bytes(bmp(24, None, b"DEBM", linear))
    p3_xyz = (0.4866, 0.2290, 0.0, 0.2657, 0.6917, 0.0451, 0.1982, 0.0793, 1.0439)
    (HERE / "calibrated.bmp").write_bytes(bmp(24, None, b"\0\0\0\0", version=4, gammas=(2.2,) * 3, ends=p3_xyz))
    # What LittleCMS makes of the table, for a test to compare with.
    srgb = ImageCms.createProfile("sRGB")
    shown = ImageCms.profileToProfile(rgb, ImageCms.ImageCmsProfile(io.BytesIO(lut)), srgb, renderingIntent=0)
    print([shown.getpixel((4 * x + 1, 4 * y + 1)) for y in range(4) for x in range(6)])
