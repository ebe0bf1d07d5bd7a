"""The transformer baseline: each label asks the feature map for itself (Liu et al., 2021)."""

import math

import keras
from keras import layers, ops

from keras_patchpu.models.label_query_layers import AddPositions, GroupWiseLinear, LabelQueries
from keras_patchpu.models.resnet_body import ResNetModel, resnet_body


@keras.saving.register_keras_serializable(package="keras_patchpu")
class Query2Label(ResNetModel):
    """Query2Label: a transformer decoder with a query for each label, on a ResNet.

    1. features `(B, h, w, 2048)` of `resnet_body`, `h = w = ceil(S / 32)`; projected to d by a
       1x1 convolution where d is not 2048, as in the authors' code, and flattened: `(B, M, d)`
    2. encoder layers: self-attention of the places, sine positions added to queries and keys
    3. decoder layers: attention of the labels' states, which begin at 0, to the places, with the
       label queries added to the states and the positions to the keys. There is no self-attention:
       what one label says does not depend on the queries of the others
    4. image_embeddings `(B, L, d)`: the states after the last layer, normalized
    5. logits `(B, L)`: a linear classifier for each label
    6. attention `(B, L, M)`: of the last decoder layer, mean over the heads

    Normalization comes after each residual sum, dropout stands wherever `torch.nn.Transformer` has
    it, and queries, keys and values start as the authors' do, uniform within `sqrt(1.5 / d)`: Keras
    would take the heads for places of a convolution and start 16 times smaller. Biases start at 0.

    The defaults are the authors', which make 174,695,444 trainable parameters for 20 labels, and
    193,959,504 on `"resnet101"` for 80; a smaller `hidden_dim` is what trains on less than a data
    centre. Embeddings can be compared as those of the patch model are, so every loss applies.

    Args:
        num_labels: L.
        image_size: height and width S of the square images in pixels, at least 32.
        backbone: `"resnet50"` or `"resnet101"`.
        weights: of the backbone: `None`, `"imagenet"` or a path; see `resnet_body`. A model that is
            loaded from its own file needs neither.
        hidden_dim: d, a multiple of 4 and of `num_heads`.
        num_heads: heads of each attention.
        feedforward_dim: width of the hidden layer of each feed-forward network.
        num_encoder_layers: 0 or more.
        num_decoder_layers: 1 or more.
        dropout: rate, of attention weights too.
        dtype: policy of the layers; logits are computed in float32 whatever it is.

    Call arguments:
        images: `(B, S, S, 3)`, values in 0..255, integers or floats.

    Returns:
        A dict of `logits`, `image_embeddings` and `attention`.

    Raises:
        ValueError: if `hidden_dim` does not divide so, or there is no decoder layer.
    """

    def __init__(
        self,
        num_labels,
        image_size=448,
        backbone="resnet50",
        weights=None,
        hidden_dim=2048,
        num_heads=4,
        feedforward_dim=8192,
        num_encoder_layers=1,
        num_decoder_layers=2,
        dropout=0.1,
        dtype=None,
        **kwargs,
    ):
        if hidden_dim % 4 or hidden_dim % num_heads:
            raise ValueError(
                "Invalid value for argument `hidden_dim`. Expected a multiple of 4 and of "
                f"`num_heads`. Received: hidden_dim={hidden_dim}, num_heads={num_heads}"
            )
        if num_decoder_layers < 1:
            raise ValueError(
                "Invalid value for argument `num_decoder_layers`. Expected at least 1. "
                f"Received: num_decoder_layers={num_decoder_layers}"
            )

        # === Layers ===
        policy = keras.dtype_policies.get(dtype)
        body = resnet_body(backbone, image_size, weights, policy)
        blocks = _Blocks(hidden_dim, num_heads, feedforward_dim, dropout, policy)
        # Float32 whatever the policy, as those of the other models.
        classify = GroupWiseLinear(dtype="float32", name="classifier")

        # === Functional model ===
        images = keras.Input((image_size, image_size, 3), name="images")
        features = body(images)
        _, rows, columns, channels = features.shape
        if channels != hidden_dim:
            features = layers.Conv2D(hidden_dim, 1, dtype=policy, name="projection")(features)
        places = ops.reshape(features, (-1, rows * columns, hidden_dim))
        add_positions = AddPositions(rows, columns, dtype=policy, name="positions")
        for number in range(1, num_encoder_layers + 1):
            name = f"encoder{number}"
            positioned = add_positions(places)
            attended, _ = blocks.attend(name, positioned, positioned, places)
            places = blocks.add_and_normalize(f"{name}_attention", places, attended)
            places = blocks.feed_forward(name, places)

        keys = add_positions(places)
        queries = LabelQueries(num_labels, dtype=policy, name="label_queries")(places)
        states = ops.zeros_like(queries)
        for number in range(1, num_decoder_layers + 1):
            name = f"decoder{number}"
            attended, heads = blocks.attend(name, ops.add(states, queries), keys, places)
            states = blocks.add_and_normalize(f"{name}_attention", states, attended)
            states = blocks.feed_forward(name, states)
        embeddings = blocks.normalize("decoder", states)
        outputs = {
            "logits": classify(embeddings),
            "image_embeddings": embeddings,
            "attention": ops.mean(ops.cast(heads, "float32"), axis=1),
        }
        super().__init__(inputs=images, outputs=outputs, **kwargs)

        # === Config ===
        self.num_labels = num_labels
        self.image_size = image_size
        self.backbone = backbone
        self.initial_weights = weights
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        self.feedforward_dim = feedforward_dim
        self.num_encoder_layers = num_encoder_layers
        self.num_decoder_layers = num_decoder_layers
        self.dropout = dropout
        self.body_policy = policy
        self.body = body

    def save_own_variables(self, store):
        # Keras leaves seeds of dropout out of a file; a resumed training would repeat its draws.
        for number, state in enumerate(self._seed_states()):
            store[f"seed_state{number}"] = state.numpy()

    def load_own_variables(self, store):
        for number, state in enumerate(self._seed_states()):
            if f"seed_state{number}" in store.keys():  # not from a model without dropout
                state.assign(store[f"seed_state{number}"])

    def _seed_states(self):
        weights = {id(weight) for weight in self.weights}
        return [variable for variable in self.variables if id(variable) not in weights]

    def get_config(self):
        return {
            "num_labels": self.num_labels,
            "image_size": self.image_size,
            "backbone": self.backbone,
            "weights": self.initial_weights,
            "hidden_dim": self.hidden_dim,
            "num_heads": self.num_heads,
            "feedforward_dim": self.feedforward_dim,
            "num_encoder_layers": self.num_encoder_layers,
            "num_decoder_layers": self.num_decoder_layers,
            "dropout": self.dropout,
            "dtype": keras.dtype_policies.serialize(self.body_policy),
            "name": self.name,
            "trainable": self.trainable,
        }


class _Blocks:
    """What encoder and decoder layers are made of; each call makes new layers by that name."""

    def __init__(self, dim, num_heads, feedforward_dim, dropout, policy):
        self.dim = dim
        self.num_heads = num_heads
        self.feedforward_dim = feedforward_dim
        self.rate = dropout
        self.policy = policy

    def attend(self, name, queries, keys, values):
        """`(B, n, d)` attending to `(B, m, d)`: `(B, n, d)`, and weights `(B, heads, n, m)`."""
        limit = math.sqrt(1.5 / self.dim)
        attention = layers.MultiHeadAttention(
            self.num_heads,
            self.dim // self.num_heads,
            dropout=self.rate,
            kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
            dtype=self.policy,
            name=f"{name}_attention",
        )
        return attention(queries, values, keys, return_attention_scores=True)

    def add_and_normalize(self, name, states, update):
        dropout = layers.Dropout(self.rate, dtype=self.policy, name=f"{name}_dropout")
        return self.normalize(name, ops.add(states, dropout(update)))

    def normalize(self, name, states):
        norm = layers.LayerNormalization(epsilon=1e-5, dtype=self.policy, name=f"{name}_norm")
        return norm(states)

    def feed_forward(self, name, states):
        name = f"{name}_feed_forward"
        hidden = layers.Dense(
            self.feedforward_dim, activation="relu", dtype=self.policy, name=f"{name}_hidden"
        )(states)
        hidden = layers.Dropout(self.rate, dtype=self.policy, name=f"{name}_hidden_dropout")(hidden)
        output = layers.Dense(self.dim, dtype=self.policy, name=f"{name}_output")(hidden)
        return self.add_and_normalize(name, states, output)
