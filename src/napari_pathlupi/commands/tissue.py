"""``pathlupi tissue``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, add_settings, add_slide_options, opened, settings
from napari_pathlupi.tissue.otsu import TissueConfig


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("slide")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="MASK.geojson", help="the file to write")
    add_slide_options(parser)
    add_settings(parser, TissueConfig)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.export._tissue import write_tissue
    from napari_pathlupi.workflows.embedding.tile import find_tissue_on

    slide, note = opened(chosen.slide, chosen)
    with slide:
        mask = find_tissue_on(slide, settings(TissueConfig, chosen))
        write_tissue(chosen.out, mask, slide.frame)
        areas_mm2 = mask.piece_areas_px0() * slide.mpp.y * slide.mpp.x / 1e6
    print(f"{slide.path.name}: {mask.words}")
    word = "piece" if len(areas_mm2) == 1 else "pieces"
    print(f"  {len(areas_mm2)} {word} of tissue, {areas_mm2.sum():.2f} mm², the largest {areas_mm2.max():.2f} mm²")
    print(f"  {chosen.out}")
    if note:
        print(f"  {note}")


COMMAND = Command("find the tissue of a slide and write it as polygons for QuPath", _arguments, _run)
