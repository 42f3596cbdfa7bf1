"""The layers that a file may use, with a rule for every option. What is not here is refused.

Options carry their Keras 3 names; ``dialect`` translates older ones first. Parts (layers given as options) stand apart.
"""

from __future__ import annotations

from optimizers.models.reader import values as v
from optimizers.models.reader.values import Rule, words

Options = dict[str, Rule]

_KERNEL: Options = {
    "kernel_regularizer": v.regularizer,
    "bias_regularizer": v.regularizer,
    "kernel_constraint": v.constraint,
    "bias_constraint": v.constraint,
}
_DENSE: Options = {"activation": v.activation, "use_bias": v.flag, **_KERNEL}
_SLIDING: Options = {
    "kernel_size": v.window,
    "strides": v.window,
    "padding": v.one_of("valid", "same", "causal"),
    "data_format": v.data_format,
    "dilation_rate": v.window,
    "activation": v.activation,
    "use_bias": v.flag,
}
_CONVOLUTION: Options = {**_SLIDING, **_KERNEL, "filters": v.size, "groups": v.size}
_TRANSPOSED: Options = {**_SLIDING, **_KERNEL, "filters": v.size, "output_padding": v.optional(v.padding)}
_DEPTHWISE: Options = {
    **_SLIDING,
    "depth_multiplier": v.size,
    "depthwise_regularizer": v.regularizer,
    "depthwise_constraint": v.constraint,
    "bias_regularizer": v.regularizer,
    "bias_constraint": v.constraint,
}
_SEPARABLE: Options = {
    **_DEPTHWISE,
    "filters": v.size,
    "pointwise_regularizer": v.regularizer,
    "pointwise_constraint": v.constraint,
}
_POOL: Options = {
    "pool_size": v.window,
    "strides": v.optional(v.window),
    "padding": v.one_of("valid", "same"),
    "data_format": v.data_format,
}
_GLOBAL_POOL: Options = {"data_format": v.data_format, "keepdims": v.flag}
_FORMAT: Options = {"data_format": v.data_format}
_AFFINE: Options = {
    "axis": v.axes,
    "epsilon": v.number,
    "center": v.flag,
    "scale": v.flag,
    "beta_regularizer": v.regularizer,
    "gamma_regularizer": v.regularizer,
    "beta_constraint": v.constraint,
    "gamma_constraint": v.constraint,
}
_CELL: Options = {
    **_KERNEL,
    "units": v.size,
    "activation": v.activation,
    "use_bias": v.flag,
    "recurrent_regularizer": v.regularizer,
    "recurrent_constraint": v.constraint,
    "dropout": v.number,
    "recurrent_dropout": v.number,
}
_LSTM_CELL: Options = {**_CELL, "recurrent_activation": v.activation, "unit_forget_bias": v.flag}
_GRU_CELL: Options = {**_CELL, "recurrent_activation": v.activation, "reset_after": v.flag}
_OVER_TIME: Options = {
    "return_sequences": v.flag,
    "return_state": v.flag,
    "go_backwards": v.flag,
    "stateful": v.flag,
    "unroll": v.flag,
    "zero_output_for_mask": v.flag,
}
_CONV_LSTM: Options = {
    **{name: rule for name, rule in _LSTM_CELL.items() if name != "units"},
    **_SLIDING,
    **_OVER_TIME,
    "filters": v.size,
}
_GROUPED: Options = {
    "head_dim": v.size,
    "num_query_heads": v.size,
    "num_key_value_heads": v.size,
    "use_bias": v.flag,
    "use_gate": v.flag,
    "sliding_window": v.optional(v.size),
    "dropout": v.number,
    **_KERNEL,
}
_NOISE: Options = {"rate": v.number, "noise_shape": v.optional(v.shape)}

ONLY_IN_KERAS3: dict[str, Options] = {
    **dict.fromkeys(("GroupQueryAttention", "GroupedQueryAttention"), _GROUPED),
    **{
        f"Adaptive{kind}Pooling{n}D": {"output_size": v.window, **_FORMAT}
        for kind in ("Average", "Max")
        for n in (1, 2, 3)
    },
    "ReversibleEmbedding": {
        "input_dim": v.size,
        "output_dim": v.size,
        "mask_zero": v.flag,
        "tie_weights": v.flag,
        "logit_soft_cap": v.optional(v.number),
        "embeddings_regularizer": v.regularizer,
        "embeddings_constraint": v.constraint,
    },
}
"""Layers without a counterpart in Keras 2."""

LAYERS: dict[str, Options] = {
    # dense
    "Dense": {"units": v.size, **_DENSE},
    "EinsumDense": {"equation": v.text, "output_shape": v.shape, "bias_axes": v.optional(v.text), **_DENSE},
    "Embedding": {
        "input_dim": v.size,
        "output_dim": v.size,
        "mask_zero": v.flag,
        "embeddings_regularizer": v.regularizer,
        "embeddings_constraint": v.constraint,
    },
    # convolutions
    **{f"Conv{n}D": _CONVOLUTION for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": _TRANSPOSED for n in (1, 2, 3)},
    **{f"DepthwiseConv{n}D": _DEPTHWISE for n in (1, 2)},
    **{f"SeparableConv{n}D": _SEPARABLE for n in (1, 2)},
    # pooling, shapes
    **{f"{kind}Pooling{n}D": _POOL for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{f"Global{kind}Pooling{n}D": _GLOBAL_POOL for kind in ("Max", "Average") for n in (1, 2, 3)},
    "Flatten": _FORMAT,
    "Reshape": {"target_shape": v.shape},
    "Permute": {"dims": v.shape},
    "RepeatVector": {"n": v.size},
    "UpSampling1D": {"size": v.window},
    "UpSampling2D": {"size": v.window, "interpolation": v.text, **_FORMAT},
    "UpSampling3D": {"size": v.window, **_FORMAT},
    **{f"ZeroPadding{n}D": {"padding": v.padding, **_FORMAT} for n in (1, 2, 3)},
    "Cropping1D": {"cropping": v.padding},
    **{f"Cropping{n}D": {"cropping": v.padding, **_FORMAT} for n in (2, 3)},
    # activations
    "Activation": {"activation": v.activation},
    "ReLU": {name: v.optional(v.scalar) for name in ("max_value", "negative_slope", "threshold")},
    "LeakyReLU": {"negative_slope": v.scalar},
    "PReLU": {
        "alpha_regularizer": v.regularizer,
        "alpha_constraint": v.constraint,
        "shared_axes": v.optional(v.axes),
    },
    "ELU": {"alpha": v.scalar},
    "Softmax": {"axis": v.axes},
    "Identity": {},
    "Masking": {"mask_value": v.number},
    # regularization while training
    "Dropout": _NOISE,
    "AlphaDropout": _NOISE,
    "GaussianDropout": {"rate": v.number},
    "GaussianNoise": {"stddev": v.number},
    "SpatialDropout1D": {"rate": v.number},
    **{f"SpatialDropout{n}D": {"rate": v.number, **_FORMAT} for n in (2, 3)},
    "ActivityRegularization": {"l1": v.number, "l2": v.number},
    # merging
    **{kind: {} for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")},
    "Concatenate": {"axis": v.axes},
    "Dot": {"axes": v.axes, "normalize": v.flag},
    # normalization and preprocessing
    "BatchNormalization": {**_AFFINE, "momentum": v.number, "synchronized": v.flag},
    "LayerNormalization": {**_AFFINE, "rms_scaling": v.flag},
    "GroupNormalization": {**_AFFINE, "groups": v.integer},
    "RMSNormalization": {"axis": v.axes, "epsilon": v.number},
    "UnitNormalization": {"axis": v.axes},
    "SpectralNormalization": {"power_iterations": v.size},
    "Normalization": {
        "axis": v.optional(v.axes),
        "mean": v.optional(v.numbers),
        "variance": v.optional(v.numbers),
        "invert": v.flag,
    },
    "Rescaling": {"scale": v.numbers, "offset": v.numbers},
    "Resizing": {
        "height": v.size,
        "width": v.size,
        "interpolation": v.text,
        "crop_to_aspect_ratio": v.flag,
        "antialias": v.flag,
        **_FORMAT,
    },
    "CenterCrop": {"height": v.size, "width": v.size, **_FORMAT},
    "CategoryEncoding": {"num_tokens": v.size, "output_mode": v.text},
    "Discretization": {"bin_boundaries": v.optional(v.numbers), "output_mode": v.text},
    # recurrent
    "LSTM": {**_LSTM_CELL, **_OVER_TIME},
    "GRU": {**_GRU_CELL, **_OVER_TIME},
    "SimpleRNN": {**_CELL, **_OVER_TIME},
    "LSTMCell": _LSTM_CELL,
    "GRUCell": _GRU_CELL,
    "SimpleRNNCell": _CELL,
    "StackedRNNCells": {},
    "RNN": _OVER_TIME,
    **{f"ConvLSTM{n}D": _CONV_LSTM for n in (1, 2, 3)},
    "Bidirectional": {"merge_mode": v.optional(v.text)},
    "TimeDistributed": {},
    # attention
    "Attention": {"use_scale": v.flag, "score_mode": v.text, "dropout": v.number},
    "AdditiveAttention": {"use_scale": v.flag, "dropout": v.number},
    "MultiHeadAttention": {
        "num_heads": v.size,
        "key_dim": v.size,
        "value_dim": v.optional(v.size),
        "dropout": v.number,
        "use_bias": v.flag,
        "use_gate": v.flag,
        "sliding_window": v.optional(v.size),
        "output_shape": v.optional(v.shape),
        "attention_axes": v.optional(v.axes),
        **_KERNEL,
    },
    **ONLY_IN_KERAS3,
    # inside keras.applications
    "LayerScale": {"init_values": v.number, "projection_dim": v.size},
    "StochasticDepth": {"drop_path_rate": v.number},
    "CustomScaleLayer": {"scale": v.number},
}

PARTS: dict[str, tuple[str, ...]] = {
    "Bidirectional": ("layer", "backward_layer"),
    "TimeDistributed": ("layer",),
    "SpectralNormalization": ("layer",),
    "RNN": ("cell",),
    "StackedRNNCells": ("cells",),
}
CELLS = frozenset({"LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells"})
TAKES_CELLS = frozenset({"RNN", "StackedRNNCells"})

FROM_APPLICATIONS = frozenset({"LayerScale", "StochasticDepth", "CustomScaleLayer"})
"""Classes that Keras keeps for its own ready-made networks; elsewhere a class of that name is somebody's own."""

AUGMENTATION = frozenset(
    f"Random{what}"
    for what in words(
        "Flip Rotation Zoom Translation Contrast Brightness Height Width Shear Erasing GaussianBlur Grayscale Hue "
        "Saturation Sharpness Invert Posterization ColorJitter ColorDegeneration Perspective ElasticTransform"
    )
) | {"RandAugment", "AugMix", "MixUp", "CutMix"}
"""Layers that do nothing at inference; kept as an identity, with a note."""

_BOOKKEEPING = frozenset(
    words(
        "name trainable dtype seed batch_input_shape batch_shape input_shape input_length input_spec "
        "lora_rank lora_alpha implementation use_cudnn autocast dynamic fused supports_masking optional "
        "shared_object_id build_config rng_type force_generator flash_attention robust_masking "
        "softmax_robust_masking query_shape key_shape value_shape bounding_box_format renorm_momentum "
        "renorm_clipping fill_mode fill_value"
    )
)
_LEFTOVERS: dict[str, frozenset[str]] = {
    **{
        f"{kind}Conv{n}D": frozenset({"filters", "kernel_regularizer", "kernel_constraint"})
        for kind in ("Depthwise", "Separable")
        for n in (1, 2)
    },
    "Discretization": frozenset({"num_bins", "epsilon"}),
}
_OFF: dict[str, tuple[object, ...]] = {
    "quantization_config": (None,),
    "time_major": (None, False),
    "renorm": (None, False),
    "reverse_dtype": (None,),
    "pad_to_aspect_ratio": (None, False),
    "noise_shape": (None,),
    "virtual_batch_size": (None,),
    "sparse": (None, False),
    "ragged": (None, False),
    "weights": (None,),
    "gptq_unpacked_column_size": (None,),
    "groups": (None, 1),
    "mixed_precision": (None, False),
}


def is_ignored(kind: str, option: str) -> bool:
    """Whether an option never changes what a trained layer computes: names, seeds, initializers, hints."""
    return option in _BOOKKEEPING or option.endswith("_initializer") or option in _LEFTOVERS.get(kind, frozenset())


def is_switched_off(option: str, value: object) -> bool:
    """Whether an unsupported feature is present in the file but not in use."""
    return option in _OFF and any(value is off or (type(value) is type(off) and value == off) for off in _OFF[option])
