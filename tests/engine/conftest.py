"""What tests of the engine share."""
import pytest

from openmix.registry import BACKBONES
from tests.engine import tiny


@pytest.fixture(scope="module")
def four_layers():
    """Configs of the file have this network, half as long to train and to trace as a ResNet-8.

    A process that is started knows it by ``custom_imports=dict(imports=["tests.engine.four_layers"])``.
    """
    from tests.engine import four_layers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "BACKBONE", dict(type="FourLayers"))
        BACKBONES.register_module(module=four_layers.FourLayers, force=True)
        yield
    BACKBONES.module_dict.pop("FourLayers")
