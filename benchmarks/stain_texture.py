"""How well and how fast the weight-free encoder tells tissue classes apart.

Accuracy: the 100 real tiles of nine classes in ``patches/nct-crc-9class``, left out one at a time. Most are crops of
93 px from a published figure; all are brought to 224 px (0.5 µm/px, the scale of the originals) bilinearly. Vectors are
standardised without the labels. ``linear_probe`` is a logistic regression with C = 0.1 (fixed beforehand), with its
Wilson 95 % interval; ``nn1`` the nearest other tile; ``nn1_scaled`` the nearest other tile when haematoxylin and eosin
of every tile are multiplied by random factors between 0.7 and 1.4.

Speed: 256 px tiles per CPU second on one thread.
"""

import argparse
import csv
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from matplotlib.image import imread
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import pairwise_distances
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.patch_encoders._texture import unmixing

DATA = Path(os.environ.get("PATHLUPI_TEST_DATA", Path(__file__).parents[2] / "shared/data/open"))


def real_tiles(folder: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Return (tiles, 224, 224, 3) uint8 and their classes."""
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    return torch.stack([resized(folder / row["file"]) for row in rows]), np.array([row["label"] for row in rows])


def resized(path: Path) -> torch.Tensor:
    picture = imread(path)[..., :3]
    picture = picture.astype(np.float32) * (255 if picture.dtype.kind == "f" else 1)
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None]
    planes = torch.nn.functional.interpolate(planes, size=(224, 224), mode="bilinear", align_corners=False)
    return planes[0].permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8)


def stained_otherwise(tiles: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Multiply haematoxylin and eosin of each tile by factors between 0.7 and 1.4, even on a log scale."""
    factors = torch.rand(len(tiles), 2, generator=torch.Generator().manual_seed(seed))
    factors = 0.7 * 2**factors
    density = -torch.log10((tiles.float() + 1) / 256)
    stains = torch.linalg.pinv(unmixing())  # (3, 2): the part of the density that the two stains explain
    amounts = density @ unmixing().T
    changed = density + (amounts * (factors - 1)[:, None, None]) @ stains.T
    return (256 * 10**-changed - 1).round().clamp(0, 255).to(torch.uint8)


def nearest_neighbour(vectors: np.ndarray, labels: np.ndarray) -> float:
    distances = pairwise_distances(StandardScaler().fit_transform(vectors))
    np.fill_diagonal(distances, np.inf)
    return float((labels[distances.argmin(axis=1)] == labels).mean())


def linear_probe(vectors: np.ndarray, labels: np.ndarray) -> float:
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return float((cross_val_predict(probe, vectors, labels, cv=LeaveOneOut()) == labels).mean())


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, JASA 22 (1927) 209-212)."""
    z = 1.96
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return float(centre - half), float(centre + half)


def tiles_per_cpu_s(encode, batches: int) -> float:
    torch.set_num_threads(1)
    noise = torch.randint(120, 250, (64, 256, 256, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    encode(noise)
    begun = time.process_time()
    for _ in range(batches):
        encode(noise)
    return 64 * batches / (time.process_time() - begun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer timed tiles")
    quick = parser.parse_args().quick
    encode = patch_encoders["stain-texture"].load("cpu").encode
    keys = ("linear_probe", "linear_low", "linear_high", "nn1", "nn1_scaled")
    figures: dict[str, float | None] = dict.fromkeys(keys)
    figures["tiles_per_cpu_s"] = round(tiles_per_cpu_s(encode, 4 if quick else 40), 1)
    folder = DATA / "patches/nct-crc-9class"
    if folder.is_dir():
        tiles, labels = real_tiles(folder)
        vectors = encode(tiles).numpy()
        probe = linear_probe(vectors, labels)
        nn1 = nearest_neighbour(vectors, labels)
        scaled = nearest_neighbour(encode(stained_otherwise(tiles)).numpy(), labels)
        figures |= dict(
            zip(keys, (round(v, 3) for v in (probe, *wilson(probe, len(labels)), nn1, scaled)), strict=True)
        )
    else:
        print(f"The real tiles are not at {folder} (set PATHLUPI_TEST_DATA): only speed was measured.")
    for key, value in figures.items():
        print(f"{key:18}{'-' if value is None else value}")
    print("RESULT", json.dumps(figures | {"quick": quick}))


if __name__ == "__main__":
    main()
