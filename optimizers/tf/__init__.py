"""Everything that touches TensorFlow: building models, training, converting, interpreting.

This is the only package that imports TensorFlow, tf_keras or Keras at module level; everything else imports this
package inside the functions that need it, in worker processes. The model optimization toolkit works on tf_keras only,
and asks for it through an environment variable that must be set before TensorFlow is imported; so it is set here.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))
"""tf_keras follows a chain of layers by recursion, several calls for each: at 1,000, a model of 900 layers fails."""
