"""Where the labels are: from the attention of patches to maps, pictures and boxes."""

from keras_patchpu.localization.boxes import boxes_from_map
from keras_patchpu.localization.patches import attention_maps, dense_maps, patch_coverage
from keras_patchpu.localization.pictures import maps_in_picture, picture_part

__all__ = [
    "attention_maps",
    "boxes_from_map",
    "dense_maps",
    "maps_in_picture",
    "patch_coverage",
    "picture_part",
]
