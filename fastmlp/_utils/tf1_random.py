"""Draw the normal random numbers that TensorFlow 1 draws."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

_CHUNK = 1 << 14  # blocks of four words: the working arrays stay in the second-level cache


def _philox(first: int, count: int, op_seed: int, graph_seed: int) -> list[np.ndarray]:
    """Return the four words of `count` blocks of Philox 4x32-10, uint64 arrays below 2**32."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    blocks = np.arange(first, first + count, dtype=np.uint64)
    c0, c1 = blocks & low, blocks >> shift
    c2 = np.full(count, op_seed & 0xFFFFFFFF, np.uint64)
    c3 = np.full(count, op_seed >> 32, np.uint64)
    key0, key1 = graph_seed & 0xFFFFFFFF, graph_seed >> 32
    for _ in range(10):
        product0 = c0 * np.uint64(0xD2511F53)
        product1 = c2 * np.uint64(0xCD9E8D57)
        c0 = (product1 >> shift) ^ c1 ^ np.uint64(key0)
        c2 = (product0 >> shift) ^ c3 ^ np.uint64(key1)
        c1, c3 = product1 & low, product0 & low
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def _unit_float(words: np.ndarray) -> np.ndarray:
    """Turn 32-bit words into float32 in [0, 1): 23 low bits as the mantissa of [1, 2), minus 1."""
    bits = (words & np.uint64(0x7FFFFF)).astype(np.uint32) | np.uint32(0x3F800000)
    return bits.view(np.float32) - np.float32(1)


def _tf1_blocks(count: int, seed: int) -> Iterator[np.ndarray]:
    for first in range(0, count, _CHUNK):
        words = _philox(first, min(_CHUNK, count - first), seed, 87654321)
        normals = np.empty((len(words[0]), 4), np.float32)
        for k in (0, 2):
            u = np.maximum(_unit_float(words[k]), np.float32(1e-7))
            angle = (np.float32(2 * math.pi) * _unit_float(words[k + 1])).astype(np.float64)
            # Through float64: NumPy's float32 functions differ from one processor to the next.
            radius = np.sqrt(-2 * np.log(u.astype(np.float64))).astype(np.float32)
            normals[:, k] = np.sin(angle).astype(np.float32) * radius
            normals[:, k + 1] = np.cos(angle).astype(np.float32) * radius
        yield normals


def tf1_standard_normal(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Draw standard normals as TensorFlow 1's ``random_normal(shape, seed=seed)`` does.

    Philox 4x32 with 10 rounds and Box-Muller in float32: the key is TensorFlow's default graph
    seed, the upper half of the counter is `seed`.

    Parameters
    ----------
    shape : tuple of int
    seed : int
        At least 0.

    Returns
    -------
    ndarray of float32, C order
    """
    size = math.prod(shape)
    if size == 0:
        return np.empty(shape, np.float32)
    blocks = np.concatenate(list(_tf1_blocks(-(-size // 4), seed)))
    return blocks.ravel()[:size].reshape(shape)
