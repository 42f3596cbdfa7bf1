"""Sample models and sample data that come with the product. Importing this reads no model and no TensorFlow."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
DATA = FOLDER / "data"
MODELS = FOLDER / "models"
MANIFEST = FOLDER / "manifest.json"
