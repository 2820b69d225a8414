"""Loops over feature maps that no operator of PyTorch does in one pass, compiled by Numba for this processor.

Imported where they run, not where they might: most processes that load a network never train it, and Numba takes half a
second, and a folder for its cache.
"""

LANES = 8  # float32 numbers of a vector: a register of AVX2, half a register of AVX-512, two of Neon
PANEL = 2 * LANES  # channels that are computed together at inference
PLAIN, SWISH, RESIDUAL = 0, 1, 2  # what follows the normalisation of a map
RELU, RELU6, HARD_SWISH = 3, 4, 5  # the same
SIGMOID, HARD_SIGMOID = 6, 7  # beside these, what follows a layer at inference
