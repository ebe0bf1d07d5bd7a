"""The patch classifier in PyTorch, as somebody would write it there: what we compare with.

`(B, S, S, 3)` float32 in 0..255 -> logits `(B, L)`, with the weights of the Keras model.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

# name, filters, kernel size, strides, expand ratio
BLOCKS = [
    ("block1a", 16, 3, 1, 1),
    ("block2a", 24, 3, 2, 6),
    ("block2b", 24, 3, 1, 6),
    ("block3a", 40, 5, 2, 6),
    ("block3b", 40, 5, 1, 6),
]


def pad_like_tensorflow(x, kernel_size):
    """For stride 2 on an even size."""
    after = kernel_size // 2
    return functional.pad(x, (after - 1, after, after - 1, after))


class Block(nn.Module):
    def __init__(self, channels, filters, kernel_size, strides, expand_ratio):
        super().__init__()
        expanded = channels * expand_ratio
        self.kernel_size, self.strides = kernel_size, strides
        self.adds_input = strides == 1 and filters == channels
        self.expand_conv = None
        if expand_ratio != 1:
            self.expand_conv = nn.Conv2d(channels, expanded, 1, bias=False)
            self.expand_norm = nn.BatchNorm2d(expanded, eps=1e-3)
        self.depthwise_conv = nn.Conv2d(
            expanded,
            expanded,
            kernel_size,
            strides,
            padding=kernel_size // 2 if strides == 1 else 0,
            groups=expanded,
            bias=False,
        )
        self.depthwise_norm = nn.BatchNorm2d(expanded, eps=1e-3)
        squeezed = max(1, channels // 4)
        self.squeeze = nn.Conv2d(expanded, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, expanded, 1)
        self.project_conv = nn.Conv2d(expanded, filters, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, inputs):
        x = inputs
        if self.expand_conv is not None:
            x = functional.silu(self.expand_norm(self.expand_conv(x)))
        if self.strides == 2:
            x = pad_like_tensorflow(x, self.kernel_size)
        x = functional.silu(self.depthwise_norm(self.depthwise_conv(x)))
        squeezed = functional.silu(self.squeeze(x.mean((2, 3), keepdim=True)))
        x = x * torch.sigmoid(self.excite(squeezed))
        x = self.project_norm(self.project_conv(x))
        return x + inputs if self.adds_input else x


class TorchPatchClassifier(nn.Module):
    """Takes the weights from a dict of arrays by the paths of the Keras variables."""

    def __init__(self, weights, patch_size, num_levels):
        super().__init__()
        self.patch_size, self.num_levels = patch_size, num_levels
        self.stem_conv = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.stem_norm = nn.BatchNorm2d(32, eps=1e-3)
        channels = 32
        for name, *arguments in BLOCKS:
            setattr(self, name, Block(channels, *arguments))
            channels = arguments[0]
        num_labels, embedding_dim = weights["codebook_attention/codebook"].shape
        self.dense = nn.Linear(channels, embedding_dim)
        self.codebook = nn.Parameter(torch.zeros(num_labels, embedding_dim))
        self.mlp_hidden = nn.Linear(embedding_dim, embedding_dim)
        self.mlp_output = nn.Linear(embedding_dim, embedding_dim)
        self.label_weights = nn.Parameter(torch.zeros(num_labels, embedding_dim))
        self._take(weights)
        self.eval().to(memory_format=torch.channels_last)

    def forward(self, images):
        batch, size = images.shape[0], self.patch_size
        level = images.permute(0, 3, 1, 2)  # in memory the channels stay last
        levels = []
        for index in range(self.num_levels):
            if index:
                level = functional.avg_pool2d(level, 2)
            side = level.shape[2] // size
            patches = level[:, :, : side * size, : side * size]
            patches = patches.reshape(batch, 3, side, size, side, size)
            patches = patches.permute(0, 2, 4, 1, 3, 5)
            levels.append(patches.reshape(batch, side * side, 3, size, size))
        patches = torch.cat(levels, 1)
        num_patches = patches.shape[1]
        patches = patches.reshape(batch * num_patches, 3, size, size)
        embeddings = self._embed(patches.contiguous(memory_format=torch.channels_last))
        embeddings = embeddings.reshape(batch, num_patches, -1)

        attention = torch.softmax(self.codebook @ embeddings.transpose(1, 2), -1)
        pooled = attention @ embeddings
        embeddings = self.mlp_output(functional.gelu(self.mlp_hidden(pooled))) + pooled
        scores = embeddings @ self.label_weights.T
        own = torch.eye(scores.shape[1])
        # OpenVINO cannot convert torch.diagonal.
        others = scores.masked_fill(own.bool(), -float("inf"))
        return (scores * own).sum(-1) - torch.logsumexp(others, -1)

    def _embed(self, patches):
        x = pad_like_tensorflow(patches / 255.0, 3)
        x = functional.silu(self.stem_norm(self.stem_conv(x)))
        for name, *_ in BLOCKS:
            x = getattr(self, name)(x)
        return self.dense(x.mean((2, 3)))

    def _take(self, weights):
        of_norms = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
        of_norms["running_var"] = "moving_variance"
        top = {"codebook": "codebook_attention", "label_weights": "label_classifier"}
        with torch.no_grad():
            for name, tensor in self.state_dict().items():
                *modules, kind = name.split(".")
                if kind == "num_batches_tracked":
                    continue
                if not modules:
                    path = f"{top[kind]}/{kind}"
                elif modules[0].startswith("mlp"):
                    path = f"codebook_attention/{modules[0]}"
                else:
                    path = "/".join(["embed_patches", "patch_embedder", *modules])
                if modules and modules[-1].endswith("norm"):
                    path += f"/{of_norms[kind]}"
                elif modules:
                    path += "/kernel" if kind == "weight" else "/bias"
                tensor.copy_(torch.from_numpy(_in_torch_order(weights[path], path)))


def _in_torch_order(array, path):
    if array.ndim == 4:
        # Keras: (k, k, channels, 1) if depthwise, else (k, k, inputs, filters).
        order = (2, 3, 0, 1) if "depthwise" in path else (3, 2, 0, 1)
        array = array.transpose(order)
    elif path.endswith("kernel"):
        array = array.T
    return np.ascontiguousarray(array)
