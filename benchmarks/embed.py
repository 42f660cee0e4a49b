"""How fast slides become features: the whole pipeline beside a plain one and beside LazySlide.

Every party works in a process of its own on the same simulated slide (made once into the cache folder), one after the
other in interleaved rounds; figures are medians over the rounds, and so are the ratios of each round. Counted is what
follows the finding of tissue and tiles: reading, decoding, encoding and keeping the features, with the start and end
of worker processes. The plain baseline (openslide-python, Pillow, torch's DataLoader with two workers, batches of 32)
gets our tiles; LazySlide, with two workers, too, finds its own. Encoders: means of squares of 16 px (the same
function for all), `stain-texture`, and ResNet-50 with random weights, by torch in float32 and by the engine for
processors. Memory is the peak over what a process takes after its imports, shared pages divided among their holders.

LazySlide runs where ``--lazyslide`` or ``PATHLUPI_LAZYSLIDE`` names the Python of a virtual environment that has it.

`python benchmarks/embed.py [--quick] [--lazyslide PYTHON]`
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from embed_models import resnet50
from napari_pathlupi import open_slide
from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.workflows.embedding.tile import tile
from null_encoder import SIDE_PX
from readers import simulated
from stain_texture import DATA, linear_probe, nearest_neighbour, real_tiles, tiles_per_cpu_s

Figures = dict[str, float]
PARTIES = Path(__file__).with_name("embed_parties.py")
PSS_EVERY_S = 0.4


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: who works on what.

    Parameters
    ----------
    party, encoder, engine
        As `embed_parties.py` takes them.
    tiles
        File with the tiles, "" for all; for the baseline their corners.
    weights
        File with the weights, "" for none.
    python
        What runs it.
    """

    party: str
    encoder: str = "null"
    engine: str = "torch"
    tiles: str = ""
    weights: str = ""
    python: str = sys.executable
    seen: list[Figures] = field(default_factory=list)

    def median(self, name: str) -> float:
        """The median over the rounds."""
        return float(np.median([figures[name] for figures in self.seen]))

    @property
    def tiles_per_s(self) -> float:
        return self.median("tiles") / self.median("wall_s")

    @property
    def cpu_ms(self) -> float:
        return 1e3 * self.median("cpu_s") / self.median("tiles")


def pss_bytes(root: int) -> int:
    """Memory of a process and all below it, shared pages divided among their holders (Linux)."""
    below = [root]
    total = 0
    while below:
        pid = below.pop()
        try:
            tasks = Path(f"/proc/{pid}/task")
            below += [int(c) for t in tasks.iterdir() for c in (t / "children").read_text().split()]
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        total += 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    return total


def work(row: Row, slide: Path) -> Figures:
    """Run a party once; its own figures and its memory in MB."""
    arguments = {"slide": str(slide), "encoder": row.encoder, "engine": row.engine}
    arguments |= {"tiles": row.tiles, "weights": row.weights}
    command = [row.python, str(PARTIES), row.party, json.dumps(arguments)]
    with tempfile.TemporaryFile("w+") as words:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True, cwd=PARTIES.parent
        )
        assert process.stdin is not None and process.stdout is not None
        for line in process.stdout:  # libraries may greet first
            if line.strip() == "imported":
                break
        before = peak = pss_bytes(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        answers: list[str] = []
        reading = threading.Thread(target=lambda: answers.extend(process.stdout or ()))
        reading.start()
        while reading.is_alive():
            peak = max(peak, pss_bytes(process.pid))
            reading.join(PSS_EVERY_S)
        if process.wait():
            words.seek(0)
            raise SystemExit(f"{row.party} failed:\n{words.read()[-3000:]}")
    return {**json.loads(answers[-1]), "pss_mb": (peak - before) / 1e6}


def rows(slide: Path, folder: Path, few: int, lazyslide: str) -> dict[str, Row]:
    """Everything that is measured; files with the tiles and the weights are written into a folder."""
    with open_slide(slide) as opened:
        corners = tile(opened, SIDE_PX, 0.5).origins_px0
    middle = slice(max(0, (len(corners) - few) // 2), (len(corners) + few) // 2)
    files = [str(folder / name) for name in ("corners.npy", "few_corners.npy", "few.npy")]
    for file, values in zip(files, (corners, corners[middle], np.arange(len(corners))[middle]), strict=True):
        np.save(file, values)
    weights = folder / "resnet50.safetensors"
    found = {"null, baseline": Row("baseline", tiles=files[0]), "null, ours": Row("ours")}
    if lazyslide:
        found["null, LazySlide"] = Row("lazyslide", python=lazyslide)
    found["stain-texture, ours"] = Row("ours", "stain-texture")
    if find_spec("timm"):
        resnet50(weights)
        some = {"encoder": "resnet50", "weights": str(weights)}
        found["ResNet-50, baseline"] = Row("baseline", tiles=files[1], **some)
        found["ResNet-50, ours, torch"] = Row("ours", tiles=files[2], **some)
        if find_spec("openvino"):
            found["ResNet-50, ours, engine"] = Row("ours", engine="openvino", tiles=files[2], **some)
    return found


def ratio(table: dict[str, Row], one: str, other: str, name: str = "wall_s") -> float | None:
    """How many times the time per tile of one the other takes, the median over the rounds; None if not measured."""
    if one not in table or other not in table:
        return None
    of_one, of_other = ([seen[name] / seen["tiles"] for seen in table[row].seen] for row in (one, other))
    return round(float(np.median(np.divide(of_other, of_one))), 2)


def accuracy() -> dict[str, float | None]:
    """How well stain-texture tells the nine real classes apart, as `stain_texture.py` prints it."""
    folder = DATA / "patches/nct-crc-9class"
    if not folder.is_dir():
        return {"stain_texture_knn": None, "stain_texture_probe": None}
    tiles, labels = real_tiles(folder)
    vectors = patch_encoders["stain-texture"].load("cpu").encode(tiles).numpy()
    knn, probe = nearest_neighbour(vectors, labels), linear_probe(vectors, labels)
    return {"stain_texture_knn": round(knn, 3), "stain_texture_probe": round(probe, 3)}


def report(table: dict[str, Row], slide: Path, rounds: int) -> dict[str, float | None]:
    print(f"{slide.name}, median of {rounds} interleaved rounds")
    print(f"{'':<26}{'tiles':>8}{'tiles/s':>10}{'CPU ms per tile':>18}{'memory, MB':>12}")
    for name, row in table.items():
        memory = row.median("pss_mb")
        print(f"{name:<26}{row.median('tiles'):8.0f}{row.tiles_per_s:10.1f}{row.cpu_ms:18.2f}{memory:12.0f}")
    null = table["null, ours"]
    return {
        "null_cpu_ms_per_tile": round(null.cpu_ms, 3),
        "null_tiles_per_s": round(null.tiles_per_s, 1),
        "null_vs_baseline": ratio(table, "null, ours", "null, baseline"),
        "null_vs_lazyslide": ratio(table, "null, ours", "null, LazySlide"),
        "null_cpu_vs_baseline": ratio(table, "null, ours", "null, baseline", "cpu_s"),
        "null_cpu_vs_lazyslide": ratio(table, "null, ours", "null, LazySlide", "cpu_s"),
        "resnet50_vs_baseline": ratio(table, "ResNet-50, ours, engine", "ResNet-50, baseline"),
        "resnet50_torch_vs_baseline": ratio(table, "ResNet-50, ours, torch", "ResNet-50, baseline"),
        "resnet50_cpu_vs_baseline": ratio(table, "ResNet-50, ours, engine", "ResNet-50, baseline", "cpu_s"),
        "peak_pss_mb": round(null.median("pss_mb"), 1),
        "tissue_and_grid_s": round(null.median("prepare_s"), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a slide of 8,192 px, one round")
    parser.add_argument("--lazyslide", default=os.environ.get("PATHLUPI_LAZYSLIDE", ""), help="its Python")
    options = parser.parse_args()
    side, few, rounds = (8192, 32, 1) if options.quick else (40_000, 192, 3)
    slide = simulated(side, 0.25)
    with tempfile.TemporaryDirectory() as folder:
        table = rows(slide, Path(folder), few, options.lazyslide)
        for _ in range(rounds):
            for row in table.values():
                row.seen.append(work(row, slide))
    figures = report(table, slide, rounds)
    encode = patch_encoders["stain-texture"].load("cpu").encode
    figures["stain_texture_tiles_per_cpu_s"] = round(tiles_per_cpu_s(encode, 2 if options.quick else 20), 1)
    figures |= accuracy()
    for name in ("stain_texture_tiles_per_cpu_s", "stain_texture_knn", "stain_texture_probe", "tissue_and_grid_s"):
        print(f"{name}: {figures[name]}")
    print("RESULT " + json.dumps({"quick": options.quick, **figures}))


if __name__ == "__main__":
    main()
