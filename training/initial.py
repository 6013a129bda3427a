"""First weights that a recipe asks for, in place of the network's own random ones."""

import keras
import numpy as np

SCORE_LAYERS = ("logits", "class_maps")  # those with weights that give class scores; see zoo/network.py


def start_as_identity(model):
    """Makes the first filters of each trained convolution hand on one input channel each, and leaves the others.

    Of every convolution with an odd window and at least as many filters as channels. Source:
    https://arxiv.org/abs/2404.00498, section 3.3.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.trainable:
            kernel, *rest = layer.get_weights()
            height, width, channels, filters = kernel.shape
            if height % 2 and width % 2 and channels <= filters:
                kernel[:, :, :, :channels] = 0
                kernel[height // 2, width // 2, :, :channels] = np.eye(channels)
                layer.set_weights([kernel, *rest])


def scale_scores(model, scale):
    """Multiplies the first weights of the layer that gives the class scores.

    With `scale` squared times the learning rate of that layer, it is a network whose scores are multiplied by `scale`,
    and whose weight decay there, as a part of the gradient, is `scale` squared of the other layers'. With as much as
    theirs, as the source has it, the network is a little less accurate (benchmarks/RESULTS.md).
    """
    for layer in model.layers:
        if layer.name in SCORE_LAYERS and layer.weights:
            layer.set_weights([scale * weight for weight in layer.get_weights()])
