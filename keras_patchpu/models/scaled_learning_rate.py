"""A learning rate of their own for some variables of a model."""

import keras


@keras.saving.register_keras_serializable(package="keras_patchpu")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """`factor` times another learning rate schedule."""

    def __init__(self, schedule, factor):
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        return self.factor * self.schedule(step)

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])


def scale_learning_rate(optimizer, variables, factor: float) -> keras.optimizers.Optimizer:
    """An optimizer with a `factor` times larger learning rate for these variables.

    Args:
        optimizer: an optimizer, its name or its config. One that already tells variables apart
            (`keras.optimizers.MultiOptimizer`) is returned as it is.
        variables: the `keras.Variable`s, told apart from others by their paths.
        factor: by which the learning rate, or its schedule, is multiplied there.
    """
    optimizer = keras.optimizers.get(optimizer)
    if isinstance(optimizer, keras.optimizers.MultiOptimizer):
        return optimizer
    config = optimizer.get_config()
    schedule = optimizer._learning_rate
    if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        config["learning_rate"] = ScaledSchedule(schedule, factor)
    else:
        config["learning_rate"] = factor * float(config["learning_rate"])
    config["name"] = f"{optimizer.name}_scaled"
    scaled = type(optimizer)(**config)
    by_path = {variable.path: scaled for variable in variables}
    return keras.optimizers.MultiOptimizer(keras.optimizers.OptimizerMap(optimizer, by_path))
