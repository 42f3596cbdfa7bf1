"""Paretoscope's backend: applies optimization recipes to Keras models and measures the files that result.

Nothing here imports Streamlit, and only ``optimizers.tf`` imports TensorFlow, so that ``import optimizers`` is cheap.
"""

__version__ = "0.1.0"
