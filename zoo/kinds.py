"""Keras layers sorted by what they do to a map, by class name.

Names and not classes: merges are found under the same name as layers and as the operations behind `+`, and three of
the layers are private to keras.applications. A subclass counts as what it derives from.
"""

CONVOLUTIONS = {"Conv1D", "Conv2D", "Conv3D", "ConvolvedDense"}
CONVOLUTIONS |= {"DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"}
TRANSPOSED = {"Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"}
POOLS = {f"{how}Pooling{rank}D" for how in ("Max", "Average") for rank in (1, 2, 3)}
GLOBAL_POOLS = {f"Global{name}" for name in POOLS}
DENSE = {"Dense"}
UPSAMPLINGS = {"UpSampling1D", "UpSampling2D", "UpSampling3D"}
PADDINGS = {f"{how}{rank}D" for how in ("ZeroPadding", "Cropping") for rank in (1, 2, 3)}
MERGES = {"Add", "Average", "Concatenate", "Divide", "Maximum", "Minimum", "Multiply", "Subtract", "TrueDivide"}
NOISE = {"Dropout", "GaussianDropout", "GaussianNoise", "Sample", "SpatialDropout2D", "StochasticDepth"}
RESHAPES = {"Flatten", "Reshape"}
VIEWS = NOISE | RESHAPES | {"Identity"}
NORMALIZATIONS = {"BatchNormalization", "LayerNormalization", "Normalization"}
POINTWISE = {"Activation", "CustomScaleLayer", "ELU", "Flip", "LayerScale", "LeakyReLU", "PReLU", "ReLU"}
POINTWISE |= {"Rescaling", "Softmax"} | NORMALIZATIONS

KNOWN = CONVOLUTIONS | TRANSPOSED | POOLS | GLOBAL_POOLS | DENSE | UPSAMPLINGS | PADDINGS | MERGES | VIEWS | POINTWISE


def kind(op):
    """The class name under which `op`, a layer or an operation, is known; None for an unknown one."""
    return next((cls.__name__ for cls in type(op).__mro__ if cls.__name__ in KNOWN), None)
