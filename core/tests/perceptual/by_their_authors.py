"""The perceptual distances of FOLDER/a.f32 and b.f32, by their authors' packages.

by_their_authors.py FOLDER   the files hold colour planes of equal sides in [0, 1]; writes each distance's weights to
                             FOLDER/NAME.safetensors and prints "NAME distance"

LPIPS and DISTS stand on torchvision's backbones, which their packages download: here these are random, and only the
distances' own weights are the published ones.

Needs torch, torchvision, safetensors, stlpips-pytorch, lpips and DISTS-pytorch.
"""
import sys
import types
from pathlib import Path

import torch
import torchvision
from safetensors.torch import save_file

# stlpips-pytorch imports these and does not need them.
for name, attribute in [("IPython", "embed"), ("torchsummary", "summary")]:
    sys.modules.setdefault(name, types.SimpleNamespace(**{attribute: None}))
import lpips
from stlpips_pytorch import stlpips

folder = Path(sys.argv[1])


def image(name):
    values = torch.frombuffer(bytearray((folder / name).read_bytes()), dtype=torch.float32)
    side = round((values.numel() / 3) ** 0.5)
    return values.reshape(1, 3, side, side)


a, b = image("a.f32"), image("b.f32")


def tell(name, distance, weights):
    save_file({n: p.contiguous().clone() for n, p in weights.items()}, folder / f"{name}.safetensors")
    with torch.no_grad():
        print(name, distance(a, b).item())


for net in ["alex", "vgg"]:
    network = stlpips.LPIPS(net=net, variant="shift_tolerant", verbose=False).eval()
    tell(f"st_{net}", lambda a, b: network(a, b, normalize=True), network.state_dict())

torch.manual_seed(1)
backbones = {"alex": torchvision.models.alexnet(weights=None), "vgg": torchvision.models.vgg16(weights=None)}
for net, backbone in backbones.items():
    network = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    for slice_ in [network.net.slice1, network.net.slice2, network.net.slice3, network.net.slice4, network.net.slice5]:
        for number, layer in slice_.named_children():
            layer.load_state_dict(backbone.features[int(number)].state_dict())
    own = {n: p for n, p in network.state_dict().items() if n.startswith("lin") and "lins" not in n}
    tell(f"lpips_{net}", lambda a, b: network(a, b, normalize=True), {**own, **backbone.state_dict()})

torchvision.models.vgg16 = lambda *_, **__: backbones["vgg"]
from DISTS_pytorch import DISTS

network = DISTS().eval()
own = {n: network.state_dict()[n] for n in ["alpha", "beta"]}
tell("dists", network, {**own, **backbones["vgg"].state_dict()})
