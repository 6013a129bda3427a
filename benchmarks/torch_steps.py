"""The reference of benchmarks.steps: the same network, recipe and batches in PyTorch, eager and channels_last."""

import contextlib
import itertools
import time

import torch
from torch import nn

from zoo import catalog, rows

BATCH_SIZE = 128


class TorchSteps:
    """Trains All-CNN-C as the recipe `fast` does; "bfloat16" computes under autocast."""

    def __init__(self, width, dtype, images, labels):
        self.images, self.labels = torch.from_numpy(images), torch.from_numpy(labels).long()
        self.mean = self.images.float().mean(dim=(0, 1, 2))
        self.deviation = self.images.float().std(dim=(0, 1, 2))
        self.autocast = torch.autocast("cpu", torch.bfloat16) if dtype == "bfloat16" else contextlib.nullcontext()
        self.network = network(rows.sized(catalog.entry("all_cnn_c").rows, 10, width), images.shape[-1])
        self.network = self.network.to(memory_format=torch.channels_last).train()
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 1e-3, (0.9, 0.98), weight_decay=0.02)
        self.loss = nn.CrossEntropyLoss(label_smoothing=0.1)

    def times_s(self):
        """Of each step of a pass without the first."""
        ends_s = []
        for indices in torch.randperm(len(self.images)).split(BATCH_SIZE):
            self.step(indices)
            ends_s.append(time.perf_counter())
        return [end_s - start_s for start_s, end_s in itertools.pairwise(ends_s)]

    def step(self, indices):
        images = self.images[indices]
        is_flipped = torch.rand(len(indices), 1, 1, 1) < 0.5
        images = torch.where(is_flipped, images.flip(2), images)
        images = ((images - self.mean) / self.deviation).permute(0, 3, 1, 2)  # [N, H, W, C] in memory: channels_last
        with self.autocast:
            loss = self.loss(self.network(images), self.labels[indices])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()


def network(table, channels):
    """The modules of the rows of All-CNN-C, which are convolutions, dropouts (that `fast` sets to 0) and a mean."""
    modules = []
    for row in table:
        if isinstance(row, rows.Conv):
            padding = row.kernel // 2 if row.padding == "same" else 0
            modules.append(nn.Conv2d(channels, row.filters, row.kernel, row.stride, padding))
            modules += [nn.ReLU()] if row.activation else []
            channels = row.filters
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten())
