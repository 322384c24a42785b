"""Writes the handwritten digits that scikit-learn ships (UCI, real scans, 1,797 images of 8x8) as one file: a Dataset's content."""

import os

import numpy as np
from sklearn.datasets import load_digits

digits = load_digits()
target = os.path.join("/outputs", "digits.npz")
np.savez_compressed(target, images=digits.data.astype(np.float32), labels=digits.target.astype(np.int64))
print(f"wrote {len(digits.target)} images of {digits.data.shape[1]} pixels to {target}")
