"""The shift-tolerant LPIPS distance of FOLDER/a.f32 and b.f32, by stlpips-pytorch.

with_stlpips.py FOLDER   the files hold colour planes of equal sides in [0, 1]; prints the distance and writes the weights
                         to FOLDER/vgg.safetensors

Needs torch, safetensors and stlpips-pytorch.
"""
import sys
import types
from pathlib import Path

import torch
from safetensors.torch import save_file

# The package imports these and does not need them.
for name, attribute in [("IPython", "embed"), ("torchsummary", "summary")]:
    sys.modules.setdefault(name, types.SimpleNamespace(**{attribute: None}))
from stlpips_pytorch import stlpips

folder = Path(sys.argv[1])


def image(name):
    values = torch.frombuffer(bytearray((folder / name).read_bytes()), dtype=torch.float32)
    side = round((values.numel() / 3) ** 0.5)
    return values.reshape(1, 3, side, side)


network = stlpips.LPIPS(net="vgg", variant="shift_tolerant", verbose=False).eval()
save_file({n: p.contiguous().clone() for n, p in network.state_dict().items()}, folder / "vgg.safetensors")
with torch.no_grad():
    print(network(image("a.f32"), image("b.f32"), normalize=True).item())
