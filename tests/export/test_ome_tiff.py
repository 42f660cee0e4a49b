from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from handmade import FRAME, a_prediction
from napari_pathlupi.export.ome_tiff import EXPORT


def test_the_map_is_as_large_in_um_as_its_tiles(tmp_path: Path) -> None:
    prediction = a_prediction()
    EXPORT.write(tmp_path / "m.ome.tif", prediction, FRAME)
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as file:
        assert file.is_ome
        pixels = ElementTree.fromstring(file.ome_metadata).find(".//{*}Pixels")
        values = file.asarray()
    assert float(pixels.get("PhysicalSizeX")) == pytest.approx(112)
    assert float(pixels.get("PhysicalSizeY")) == pytest.approx(112)
    assert pixels.get("PhysicalSizeXUnit") == "µm"
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, prediction.grid.raster(prediction.percentile, "").values)
