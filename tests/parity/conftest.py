import pytest

from stevie.adapters.kernel import NativeKernel


@pytest.fixture(scope="session")
def kernel() -> NativeKernel:
    return NativeKernel()
