"""The models: the paper's, and the baselines beside it."""

from keras_patchpu.models.multi_label_model import MultiLabelModel
from keras_patchpu.models.patch_classifier import PatchClassifier
from keras_patchpu.models.query2label import Query2Label
from keras_patchpu.models.resnet import ResNet50Classifier

MODELS = {
    "patch": PatchClassifier,
    "resnet50": ResNet50Classifier,
    "query2label": Query2Label,
}

__all__ = [
    "MODELS",
    "MultiLabelModel",
    "PatchClassifier",
    "Query2Label",
    "ResNet50Classifier",
]
