from collections.abc import Callable

import pytest

from stevie.adapters.kernel import NativeKernel, PythonKernel
from stevie.ports import Kernel
from stevie.venues.binance.reference import BinanceReferenceCore

KERNELS: dict[str, Callable[[], Kernel]] = {
    "native": NativeKernel,
    "python": lambda: PythonKernel(BinanceReferenceCore),
}


@pytest.fixture(params=KERNELS)
def kernel(request) -> Kernel:
    return KERNELS[request.param]()
