from __future__ import annotations

import pytest

from optimizers.records import DatasetRef, ModelRef


@pytest.fixture
def model_ref():
    return ModelRef(uri="sample:digits_cnn", name="digits_cnn", digest="1" * 64)


@pytest.fixture
def data_ref():
    return DatasetRef(uri="sample:optdigits", name="optdigits", digest="2" * 64)
