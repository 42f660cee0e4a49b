"""``pathlupi encode``."""

import argparse
from pathlib import Path

from napari_pathlupi.commands._command import Command, interruptible, show
from napari_pathlupi.commands._features import add_stated_options, stated_by
from napari_pathlupi.core.results import RESEARCH_USE_ONLY
from napari_pathlupi.core.settings import as_dict


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pretrained", type=Path, metavar="ENCODER", help="folder of a run of `pathlupi pretrain`")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--slides", metavar="BAGS", help="folder or store of tile features: a vector per slide")
    what.add_argument("--rna", metavar="TABLE", help="expression table: a vector per case, the support set of prompts")
    dna = "mutations, of the genes of --set dna.panel=FILE: a vector per case, likewise"
    what.add_argument("--dna", metavar="MAF", help=dna)
    parser.add_argument("-o", "--out", type=Path, required=True, help="table to write, .csv or .parquet")
    parser.add_argument("--table", default="", help="table that says whose each slide is: a vector per case then")
    words = "what must be stated of the tables, as rna.unit=z-score; may be given often"
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="SECTION.KEY=VALUE", help=words)
    parser.add_argument("--device", default="cpu", help="auto, cpu, cuda or mps (default cpu)")
    add_stated_options(parser)


def _run(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.pretraining.encode import encode_molecules, encode_slides_steps, write_encoded
    from napari_pathlupi.workflows.pretraining.file import pretraining_of_changes
    from napari_pathlupi.workflows.pretraining.pretrained import load_pretrained

    config = pretraining_of_changes(
        {
            "slides": {"bags": chosen.slides or "", "table": chosen.table},
            "rna": {"table": chosen.rna or ""},
            "dna": {"mutations": chosen.dna or ""},
            "features": {key: value for key, value in as_dict(stated_by(chosen)).items() if value is not None},
        },
        chosen.changes,
    )
    encoder = load_pretrained(chosen.pretrained, chosen.device)
    with interruptible() as cancel:
        if chosen.slides:
            encoded = show(encode_slides_steps(encoder, config, cancel), "Slides")
        else:
            encoded = encode_molecules(encoder, config)
    write_encoded(chosen.out, encoded.table)
    print("\n".join(encoded.notes))
    print(f"{chosen.out}: {len(encoded.table)} vectors of {encoded.table.shape[1]} numbers.")
    after = f"probe {chosen.out} LABELS" if chosen.slides else f"prompt SLIDES LABELS --support {chosen.out}"
    print(f"Next: pathlupi {after}.")
    print(RESEARCH_USE_ONLY)


COMMAND = Command("write the embeddings of slides, RNA or DNA by a pre-trained slide encoder", _arguments, _run)
