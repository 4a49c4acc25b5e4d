"""A training step of the convolutional field in PyTorch, to be set beside `asasr bench train`.

torch_step.py [CHANNELS BLOCKS BATCH PATCH ROUNDS]   needs torch; prints the median milliseconds of a step on the CPU:
forward, flow loss in L2 and H^s, backward, Adam, as the product does them, without the data.
"""
import math
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

channels, blocks, batch, patch, rounds = [int(a) for a in sys.argv[1:]] or [96, 8, 4, 24, 5]
scale, features = 4, 128
patch_channels = 3 * scale * scale


class Field(nn.Module):
    def __init__(self):
        super().__init__()
        conv = lambda i, o: nn.Conv2d(i, o, 3, padding=1)
        self.time = nn.Sequential(nn.Linear(features, features), nn.SiLU(), nn.Linear(features, features), nn.SiLU())
        self.head = conv(2 * patch_channels + 3, channels)
        self.one = nn.ModuleList(conv(channels, channels) for _ in range(blocks))
        self.film = nn.ModuleList(nn.Linear(features, 2 * channels) for _ in range(blocks))
        self.two = nn.ModuleList(conv(channels, channels) for _ in range(blocks))
        self.body, self.tail = conv(channels, channels), conv(channels, patch_channels)

    def forward(self, x_t, t, low, mean):
        n = features // 2
        angles = t[:, None] * 1000 * 10000 ** (-torch.arange(n) / n)
        time = self.time(torch.cat([angles.cos(), angles.sin()], 1))
        x = torch.cat([F.pixel_unshuffle(x_t, scale), low, F.pixel_unshuffle(mean, scale)], 1)
        x = first = F.leaky_relu(self.head(x), 0.1)
        for one, film, two in zip(self.one, self.film, self.two):
            gamma, beta = film(time)[:, :, None, None].chunk(2, 1)
            x = x + two(F.leaky_relu(one(x) * (1 + gamma) + beta, 0.1))
        x = F.leaky_relu(self.body(x), 0.1) + first
        return F.pixel_shuffle(self.tail(x), scale)


def basis(n):
    k, i = torch.arange(n)[:, None], torch.arange(n)[None]
    rows = torch.cos(math.pi * k * (i + 0.5) / n) * math.sqrt(2 / n)
    rows[0] /= math.sqrt(2)
    return rows


side = patch * scale
dct = basis(side)
eigenvalues = 2 - 2 * torch.cos(math.pi * torch.arange(side) / side)
weight = (1 + eigenvalues[:, None] + eigenvalues[None]) ** 1.5
weight = weight / weight.mean()
field = Field()
adam = torch.optim.Adam(field.parameters(), 1e-4)
low, mean, high = torch.rand(batch, 3, patch, patch), torch.rand(batch, 3, side, side), torch.rand(batch, 3, side, side)
times = []
for step in range(rounds + 2):
    start = time.perf_counter()
    t = torch.full((batch,), 0.5)
    gamma = field(mean + 0.5 * (high - mean), t, low, mean) - (high - mean)
    loss = 0.5 * gamma.square().mean() + 0.5 * ((dct @ gamma @ dct.T).square() * weight).mean()
    adam.zero_grad()
    loss.backward()
    adam.step()
    if step >= 2:
        times.append(time.perf_counter() - start)
print(f"{1e3 * statistics.median(times):.1f} ms/step, {torch.get_num_threads()} threads, torch {torch.__version__}")
