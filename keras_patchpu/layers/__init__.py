"""The layers of the patch classifier, in the order of the paper's figure 1."""

from keras_patchpu.layers.batch_normalization import BatchNormalization
from keras_patchpu.layers.codebook_attention import CodebookAttention
from keras_patchpu.layers.label_classifier import LabelClassifier
from keras_patchpu.layers.mbconv_block import MBConvBlock
from keras_patchpu.layers.patch_embedder import PatchEmbedder
from keras_patchpu.layers.patch_pyramid import PatchPyramid
from keras_patchpu.layers.time_distributed import TimeDistributed

__all__ = [
    "BatchNormalization",
    "CodebookAttention",
    "LabelClassifier",
    "MBConvBlock",
    "PatchEmbedder",
    "PatchPyramid",
    "TimeDistributed",
]
