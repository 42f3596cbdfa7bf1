"""Channels of a tf_keras model: which belong together, which matter least, and the same model without them."""
