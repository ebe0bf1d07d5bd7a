import keras
import numpy as np
import pytest

from keras_patchpu.models.scaled_learning_rate import ScaledSchedule, scale_learning_rate

BOUNDARIES, VALUES = [1, 3], [0.1, 0.05, 0.02]


def schedule(factor=1.0):
    return keras.optimizers.schedules.PiecewiseConstantDecay(
        BOUNDARIES, [factor * value for value in VALUES]
    )


def variables():
    return [keras.Variable([[1.0, -2], [3, 0.5]], name=name) for name in ("ordinary", "scaled")]


GRADIENTS = [np.random.default_rng(seed).normal(size=(2, 2)).astype("float32") for seed in range(5)]


def steps_of(optimizer, variables):
    """All values of the variables while the same gradient goes to each of them."""
    history = []
    for gradient in GRADIENTS:
        optimizer.apply([keras.ops.convert_to_tensor(gradient) for _ in variables], variables)
        history.append([variable.numpy() for variable in variables])
    return history


def test_sgd_step_is_ten_times_the_rate_times_the_gradient():
    ordinary, scaled = variables()
    start = ordinary.numpy()
    optimizer = scale_learning_rate(keras.optimizers.SGD(0.25), [scaled], 10.0)
    optimizer.build([ordinary, scaled])
    gradient = keras.ops.convert_to_tensor(GRADIENTS[0])
    optimizer.apply([gradient, gradient], [ordinary, scaled])
    np.testing.assert_allclose(ordinary, start - 0.25 * GRADIENTS[0], rtol=1e-6)
    np.testing.assert_allclose(scaled, start - 2.5 * GRADIENTS[0], rtol=1e-6)


def test_sgd_follows_a_schedule():
    ordinary, scaled = variables()
    start = ordinary.numpy().astype("float64")
    optimizer = scale_learning_rate(keras.optimizers.SGD(schedule()), [scaled], 10.0)
    optimizer.build([ordinary, scaled])
    rates = [0.1, 0.1, 0.05, 0.05, 0.02]  # a boundary still belongs to the value before it
    moved = np.cumsum([rate * step for rate, step in zip(rates, GRADIENTS, strict=True)], axis=0)
    for step, (value, scaled_value) in enumerate(steps_of(optimizer, [ordinary, scaled])):
        np.testing.assert_allclose(value, start - moved[step], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(scaled_value, start - 10 * moved[step], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("optimizer_class", [keras.optimizers.Lamb, keras.optimizers.Adam])
@pytest.mark.parametrize("scheduled", [False, True])
def test_equals_two_optimizers(optimizer_class, scheduled):
    def create(factor):
        rate = schedule(factor) if scheduled else 0.01 * factor
        return optimizer_class(rate, weight_decay=1e-2, beta_1=0.8, clipnorm=1.5)

    expected = [
        [values[0] for values in steps_of(create(factor), [variable])]
        for factor, variable in zip((1.0, 10.0), variables(), strict=True)
    ]
    ordinary, scaled = variables()
    optimizer = scale_learning_rate(create(1.0), [scaled], 10.0)
    optimizer.build([ordinary, scaled])
    history = steps_of(optimizer, [ordinary, scaled])
    np.testing.assert_allclose(history, np.swapaxes(expected, 0, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "optimizer", ["sgd", keras.saving.serialize_keras_object(keras.optimizers.SGD(0.01))]
)
def test_names_and_configs_of_optimizers(optimizer):
    ordinary, scaled = variables()
    start = scaled.numpy()
    optimizer = scale_learning_rate(optimizer, [scaled], 10.0)
    optimizer.build([ordinary, scaled])
    gradient = keras.ops.convert_to_tensor(GRADIENTS[0])
    optimizer.apply([gradient, gradient], [ordinary, scaled])
    np.testing.assert_allclose(scaled, start - 0.1 * GRADIENTS[0], rtol=1e-5)


def test_optimizer_that_tells_variables_apart_stays():
    by_path = keras.optimizers.OptimizerMap(keras.optimizers.SGD(), {})
    optimizer = keras.optimizers.MultiOptimizer(by_path)
    assert scale_learning_rate(optimizer, variables()[1:], 10.0) is optimizer


def test_config_round_trip():
    ordinary, scaled = variables()
    optimizer = scale_learning_rate(keras.optimizers.SGD(schedule()), [scaled], 10.0)
    config = keras.saving.serialize_keras_object(optimizer)
    clone = keras.saving.deserialize_keras_object(config)
    clone.build([ordinary, scaled])
    history = steps_of(clone, [ordinary, scaled])
    others = variables()
    # Its paths tell variables apart, and those of two variables of one name are the same.
    optimizer.build(others)
    np.testing.assert_array_equal(history, steps_of(optimizer, others))
    assert (history[0][0] != history[0][1]).all()


def test_scaled_schedule():
    scaled = ScaledSchedule(schedule(), 10.0)
    clone = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(scaled))
    for step in range(6):
        np.testing.assert_allclose(scaled(step), 10 * schedule()(step), rtol=1e-6)
        np.testing.assert_array_equal(clone(step), scaled(step))
