"""``pathlupi embed``."""

import argparse
from collections import Counter
from dataclasses import replace

from napari_pathlupi.catalogue import patch_encoders
from napari_pathlupi.commands._command import Command, add_settings, add_slide_options, interruptible, settings, show
from napari_pathlupi.workflows.embedding.cohort import CohortConfig


def _arguments(parser: argparse.ArgumentParser) -> None:
    places = "slide, folder, glob, address, or CSV with the columns slide, mpp, case"
    parser.add_argument("slides", nargs="+", metavar="SLIDES", help=places)
    parser.add_argument("-o", "--out", required=True, metavar="STORE", help="folder or address of the feature store")
    parser.add_argument("--encoder", default="stain-texture", help="as `pathlupi encoders` names it (stain-texture)")
    parser.add_argument("--weights", default="", help="file or folder with its weights")
    add_slide_options(parser, "µm per pixel of every slide of which no table states it")
    tissue = "GeoJSON that outlines the tissue, or a folder of SLIDE.geojson"
    parser.add_argument("--tissue", default="", metavar="GEOJSON", help=tissue)
    scheduler = "scheduler of a Dask cluster, such as tcp://10.0.0.1:8786"
    parser.add_argument("--scheduler", default="", metavar="ADDRESS", help=scheduler)
    int8 = "let a convolution net compute in int8 on a CPU: faster and not the same; the drift is printed"
    parser.add_argument("--int8", action="store_true", help=int8)
    add_settings(parser, CohortConfig)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.errors import SlideError
    from napari_pathlupi.slides._choice import Choice
    from napari_pathlupi.workflows.embedding.cohort import Order, embed_cohort_steps
    from napari_pathlupi.workflows.embedding.cohort_cluster import embed_on_cluster_steps
    from napari_pathlupi.workflows.embedding.cohort_list import list_slides
    from napari_pathlupi.workflows.embedding.cohort_summary import FAILED, SUMMARY

    encoder, config = patch_encoders[chosen.encoder].name, settings(CohortConfig, chosen)
    choice = Choice(chosen.plane, chosen.scene, chosen.colour)
    order = Order(encoder, chosen.out, config, chosen.weights, chosen.tissue, chosen.int8, choice)
    entries = list_slides(chosen.slides, chosen.out)
    entries = [replace(entry, mpp=chosen.mpp if entry.mpp is None else entry.mpp) for entry in entries]
    with interruptible() as cancel:
        if chosen.scheduler:
            steps = embed_on_cluster_steps(entries, order, chosen.scheduler, cancel)
        else:
            steps = embed_cohort_steps(entries, order, cancel)
        rows = show(steps, "Embedding")
    counts = Counter(row.outcome for row in rows)
    where = f"every file with its outcome is listed in {SUMMARY} there"
    print(f"{chosen.out}: {', '.join(f'{count} {outcome}' for outcome, count in counts.items())}; {where}.")
    if counts[FAILED]:
        raise SlideError(f"{counts[FAILED]} of {len(rows)} slides failed: {SUMMARY} says why.")


COMMAND = Command("turn slides into features in a store, one or thousands, here or on a cluster", _arguments, _run)
