import numpy as np

import zoo
from training.multi_crop import augmented

MODEL = {"input_shape": (16, 16, 3), "num_classes": 4}


def test_scores_are_averaged_over_mirrored_and_moved_copies():
    """As https://arxiv.org/abs/2404.00498 evaluates: half for the image, half for two crops, all mirrored too."""
    model = zoo.build("linear", **MODEL)
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    crops = [(images, 0.25), (padded[:, :16, :16], 0.125), (padded[:, 2:, 2:], 0.125)]
    scores = 0
    for crop, weight in crops:
        for copy in (crop, crop[:, :, ::-1]):
            scores += weight * np.log(model.predict(copy, verbose=0))
    want = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(augmented(model).predict(images, verbose=0), want, atol=1e-5)
