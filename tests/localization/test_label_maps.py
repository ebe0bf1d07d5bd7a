"""Maps of labels by each method, and where their cells lie in a picture."""

import io

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_patchpu import PatchClassifier
from keras_patchpu.data import decode_and_resize
from keras_patchpu.errors import InputError
from keras_patchpu.localization import dense_maps, maps_in_picture
from keras_patchpu.localization.grad_cam import GradCam
from keras_patchpu.localization.label_maps import LabelMaps
from keras_patchpu.metrics.pointing_game import point_of_maximum, shares_inside
from keras_patchpu.models import ResNet50Classifier

LABELS = 3


@pytest.fixture(scope="module")
def patch_model():
    keras.utils.set_random_seed(0)
    return PatchClassifier(LABELS, image_size=64, patch_size=32, num_levels=2, embedding_dim=8)


@pytest.fixture(scope="module")
def resnet(build_tiny):
    keras.utils.set_random_seed(0)
    return build_tiny(ResNet50Classifier, LABELS, 96)  # 3 x 3 places


def images_of(model):
    shape = (2, model.image_size, model.image_size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")


def test_attention_is_summed_over_the_levels(patch_model):
    label_maps = LabelMaps(patch_model)
    images = images_of(patch_model)
    attention = np.asarray(patch_model(images)["attention"])  # 4 patches, and the whole
    expected = attention[..., :4].reshape(2, LABELS, 2, 2) + attention[..., 4, None, None]
    assert label_maps.method == "attention"
    np.testing.assert_allclose(label_maps(images), expected, rtol=1e-5)


def test_three_kinds_of_a_resnet(resnet):
    images = images_of(resnet)
    outputs = resnet(images)
    assert LabelMaps(resnet).method == "cam"
    np.testing.assert_allclose(LabelMaps(resnet)(images), outputs["score_maps"], rtol=1e-5)
    attention = np.asarray(outputs["attention"]).reshape(2, LABELS, 3, 3)
    np.testing.assert_allclose(LabelMaps(resnet, "attention")(images), attention, rtol=1e-5)
    expected = GradCam(resnet, resnet.body)(images)
    np.testing.assert_allclose(LabelMaps(resnet, "grad-cam")(images), expected, rtol=1e-5)


def test_what_a_model_has_not_is_refused(patch_model):
    for method, message in {
        "cam": "no class activation map",
        "grad-cam": "no feature map",
        "lime": "No method 'lime'",
    }.items():
        with pytest.raises(InputError, match=message) as raised:
            LabelMaps(patch_model, method)
        assert "attention" in str(raised.value) and "\n" not in str(raised.value)


def test_edges_by_hand(patch_model, resnet):
    label_maps = LabelMaps(patch_model)
    rows, columns = label_maps.edges((30, 100), "stretch")
    np.testing.assert_allclose(rows, [0, 15, 30])
    np.testing.assert_allclose(columns, [0, 50, 100])
    # 64 x 32 pixels in the middle of the square: half of each cell is padding.
    rows, columns = label_maps.edges((50, 100), "pad")
    np.testing.assert_allclose(rows, [-25, 25, 75])
    np.testing.assert_allclose(columns, [0, 50, 100])
    rows, columns = LabelMaps(resnet).edges((96, 480), "stretch")
    np.testing.assert_allclose(rows, [0, 32, 64, 96])
    np.testing.assert_allclose(columns, [0, 160, 320, 480])


def test_the_last_places_of_a_resnet_may_be_smaller(build_tiny):
    label_maps = LabelMaps(build_tiny(ResNet50Classifier, LABELS, 80))
    rows, columns = label_maps.edges((160, 80), "stretch")
    np.testing.assert_allclose(rows, [0, 64, 128, 160])
    np.testing.assert_allclose(columns, [0, 32, 64, 80])


@pytest.mark.parametrize(
    ("size", "resize"), [((128, 192), "stretch"), ((64, 128), "pad"), ((128, 32), "pad")]
)
def test_scores_on_cells_are_those_on_pixels(patch_model, size, resize):
    """What is measured on cells, against the maps that are drawn: in pixels of the picture."""
    images, box = images_of(patch_model), np.array([(5, 9, 50, 30)])
    attention = np.asarray(patch_model(images)["attention"])
    drawn = maps_in_picture(dense_maps(attention, patch_model.attention_boxes, 64), *size, resize)
    label_maps = LabelMaps(patch_model)
    edges = label_maps.edges(size, resize)
    for pixels, cells in zip(
        drawn.reshape(-1, *size), label_maps(images).reshape(-1, 2, 2), strict=True
    ):
        energy = pixels[5:50, 9:30].sum() / pixels.sum()
        assert shares_inside(cells, edges, size, box)[0] == pytest.approx(energy, rel=1e-4)
        y, x = (c.mean() + 0.5 for c in np.nonzero(pixels >= pixels.max() * (1 - 1e-6)))
        assert point_of_maximum(cells, edges, size) == pytest.approx((y, x))


def test_what_no_patch_sees_lies_beyond_the_edges():
    model = PatchClassifier(LABELS, image_size=80, patch_size=32, num_levels=1, embedding_dim=8)
    rows, columns = LabelMaps(model).edges((80, 160), "stretch")
    np.testing.assert_allclose(rows, [0, 32, 64])
    np.testing.assert_allclose(columns, [0, 64, 128])


@given(
    height=st.integers(20, 90),
    width=st.integers(20, 90),
    resize=st.sampled_from(["stretch", "pad"]),
    row=st.integers(0, 1),
    column=st.integers(0, 1),
)
def test_a_cell_painted_in_a_picture_is_seen_in_its_patch(
    patch_model, height, width, resize, row, column
):
    edges = LabelMaps(patch_model).edges((height, width), resize)
    top, bottom = np.clip(edges[0][row : row + 2], 0, height)
    left, right = np.clip(edges[1][column : column + 2], 0, width)
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[round(top) : round(bottom), round(left) : round(right)] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    square = decode_and_resize(file.getvalue(), 64, resize).numpy().mean(axis=-1)
    light = square.reshape(2, 32, 2, 32).sum(axis=(1, 3))
    assert light[row, column] > 0.9 * light.sum() > 0
