#!/usr/bin/env python3
"""How the rows of other tools in docs/RESULTS.md were made, and a plain second opinion on the scores of `asasr eval`.

  peers.py run MODEL LQ OUT      enlarges every PNG of the folder LQ by ncnn with MODEL.param and MODEL.bin, on all threads
  peers.py speed MODEL [SIDE]    times a network on noise: MODEL.onnx by onnxruntime, MODEL.param and MODEL.bin by ncnn, on all threads
  peers.py score HQ SR [SR ...]  PSNR-Y, SSIM-Y and LSD of folders of results, means over the images

Definitions: luma of BT.601 in 16 to 235; PSNR and SSIM without 4 pixels at each border, SSIM by a Gaussian of deviation 1.5 on
11x11 pixels; LSD from the orthonormal DCT-II of the whole image. Slow, and meant to be read.
"""
import os
import sys
import time

import numpy as np
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import correlate1d


def images(folder):
    return sorted(f for f in os.listdir(folder) if f.endswith(".png"))


def load(path):
    return np.asarray(Image.open(path).convert("RGB"))


def run(model, lq, out):
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = len(os.sched_getaffinity(0))
    if net.load_param(f"{model}.param") or net.load_model(f"{model}.bin"):
        sys.exit(f"{model}.param and {model}.bin cannot be read")
    os.makedirs(out, exist_ok=True)
    seconds = pixels = 0
    for name in images(lq):
        image = np.ascontiguousarray(load(f"{lq}/{name}").astype(np.float32).transpose(2, 0, 1) / 255)
        start = time.time()
        extractor = net.create_extractor()
        extractor.input(net.input_names()[0], ncnn.Mat(image))
        result = np.array(extractor.extract(net.output_names()[0])[1])
        seconds += time.time() - start
        pixels += result.shape[1] * result.shape[2]
        rounded = (np.clip(result, 0, 1) * 255 + 0.5).astype(np.uint8)
        Image.fromarray(rounded.transpose(1, 2, 0)).save(f"{out}/{name}")
    print(f"ncnn {ncnn.__version__}, {os.path.basename(model)}: {pixels / 1e6 / seconds:.3f} output MP/s")


def speed(model, side=128, rounds=5):
    image = np.random.default_rng(1).random((3, side, side), dtype=np.float32)
    threads = len(os.sched_getaffinity(0))
    if model.endswith(".onnx"):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        name = session.get_inputs()[0].name
        once = lambda: session.run(None, {name: image[None]})[0][0]
        told = f"onnxruntime {onnxruntime.__version__}"
    else:
        import ncnn

        net = ncnn.Net()
        net.opt.num_threads = threads
        if net.load_param(f"{model}.param") or net.load_model(f"{model}.bin"):
            sys.exit(f"{model}.param and {model}.bin cannot be read")

        def once():
            extractor = net.create_extractor()
            extractor.input(net.input_names()[0], ncnn.Mat(image))
            return np.array(extractor.extract(net.output_names()[0])[1])

        told = f"ncnn {ncnn.__version__}"
    best = float("inf")
    for _ in range(rounds):
        start = time.time()
        result = once()
        best = min(best, time.time() - start)
    pixels = result.shape[1] * result.shape[2]
    print(f"{told}, {os.path.basename(model)}: {pixels / 1e6 / best:.3f} output MP/s, best of {rounds}")


def luma(rgb):
    return rgb / 255 @ [65.481, 128.553, 24.966] + 16


def ssim(a, b):
    kernel = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    blur = lambda x: correlate1d(correlate1d(x, kernel, 0), kernel, 1)[5:-5, 5:-5]
    ma, mb = blur(a), blur(b)
    va, vb, both = blur(a * a) - ma**2, blur(b * b) - mb**2, blur(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * ma * mb + c1) * (2 * both + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2)))


def lsd(a, b):
    p, q = (dctn(x, norm="ortho") ** 2 for x in (a, b))
    least = 1e-8 * q.mean()
    return np.sqrt(np.mean((10 * np.log10((p + least) / (q + least))) ** 2))


def score(hq, folders):
    print("| | PSNR-Y | SSIM-Y | LSD |\n|---|---:|---:|---:|")
    for folder in folders:
        rows = []
        for name in images(hq):
            a, b = luma(load(f"{folder}/{name}")), luma(load(f"{hq}/{name}"))
            inner_a, inner_b = a[4:-4, 4:-4], b[4:-4, 4:-4]
            psnr = 10 * np.log10(255**2 / np.mean((inner_a - inner_b) ** 2))
            rows.append((psnr, ssim(inner_a, inner_b), lsd(a, b)))
        psnr, structure, distance = np.mean(rows, axis=0)
        print(f"| {os.path.basename(folder)} | {psnr:.3f} | {structure:.4f} | {distance:.3f} |")


match sys.argv[1:]:
    case ["run", model, lq, out]:
        run(model, lq, out)
    case ["speed", model, *side]:
        speed(model, *map(int, side))
    case ["score", hq, *folders] if folders:
        score(hq, folders)
    case _:
        sys.exit(__doc__)
