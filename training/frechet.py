"""Fréchet distance: how far apart two sets of images are, as a classifier sees them."""

import numpy as np


def frechet_distance(features, others):
    """Squared Fréchet distance between the Gaussians fitted to features [N, D] and [M, D], two rows or more each.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). Source: Heusel et al., 2017, https://arxiv.org/abs/1706.08500, section
    2, there on Inception's features: distances on other features compare only among themselves.
    """
    features, others = (np.asarray(each, "float64") for each in (features, others))
    difference = features.mean(axis=0) - others.mean(axis=0)
    covariances = [np.atleast_2d(np.cov(each, rowvar=False)) for each in (features, others)]
    root = square_root(covariances[0])
    # (C1 C2)^(1/2) has the trace of (R C2 R)^(1/2), R = C1^(1/2), which is symmetric
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariances[1] @ root), 0, None)).sum()
    distance = difference @ difference + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * shared
    return max(0.0, float(distance))  # rounding brings equal sets a little below


def square_root(matrix):
    """The symmetric root of a symmetric matrix without negative eigenvalues but for rounding."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
