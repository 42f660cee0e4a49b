from pathlib import Path

import numpy as np
import pandas as pd

from handmade import FRAME, a_prediction
from napari_pathlupi.export.csv import EXPORT


def test_each_tile_is_a_row_that_says_where_it_lies_and_what_it_means(tmp_path: Path) -> None:
    prediction = a_prediction()
    EXPORT.write(tmp_path / "t.csv", prediction, FRAME)
    table = pd.read_csv(tmp_path / "t.csv")
    np.testing.assert_allclose(table[["y_px0", "x_px0"]], prediction.grid.origins_px0)
    np.testing.assert_allclose(table[["height_px0", "width_px0"]], np.tile(prediction.grid.side_px0, (30, 1)))
    np.testing.assert_array_equal(table[["row", "column"]], prediction.grid.cells)
    np.testing.assert_array_equal(table["attention"].astype(np.float32), prediction.attention)
    np.testing.assert_array_equal(table["attention_percentile"].astype(np.float32), prediction.percentile)
    assert list(table.columns[-2:]) == ["evidence_Demo A", "evidence_Demo <B>"]


def test_a_tile_that_was_not_read_is_missing_not_zero(tmp_path: Path) -> None:
    EXPORT.write(tmp_path / "t.csv", a_prediction(), FRAME)
    first = (tmp_path / "t.csv").read_text().splitlines()[1]
    assert first.endswith(",0.5,,,,,")
