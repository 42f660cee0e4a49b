"""Whether RNA that is there in training only pays: real transcriptomes and labels, simulated tiles.

Every cell trains one variant with the trainer that ships, in one of five worlds, on some patients, and tests it on
patients held back. A finished cell is a line of JSON under ``--out``; what is there is not computed again. What is
asked, how the worlds are made and what came out stand in docs/evidence.md, whose tables ``--report`` writes.

    python benchmarks/privileged.py [--quick] [--jobs 2] [--out cells.jsonl] [--report docs/evidence.md]
"""

import argparse
import json
import os
from pathlib import Path

from _privileged_cells import plan, run_cell
from _privileged_cost import million_tiles_extra_mb, step_costs
from _privileged_report import figures, print_tables, write_tables
from _resumed import DATA, computed, finished
from napari_pathlupi.core.settings import cache_folder


def costs(quick: bool) -> dict[str, float | None]:
    """Return what a step and a million tiles cost; null where it was not measured."""
    keys = ("step_cost_vs_abmil", "step_cost_literal_vs_abmil", "million_tiles_extra_mb")
    measured = {} if quick else step_costs() | {"million_tiles_extra_mb": million_tiles_extra_mb()}
    return {key: measured.get(key) for key in keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one cohort, one size, two worlds; no costs")
    parser.add_argument("--jobs", type=int, default=2, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=cache_folder() / "privileged.jsonl", help="finished cells")
    parser.add_argument("--only", nargs="*", default=(), help="these variants alone")
    parser.add_argument("--report", type=Path, help="document whose tables are written anew; nothing is computed")
    chosen = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    cells = [cell for cell in plan(chosen.quick) if not chosen.only or cell.name in chosen.only]
    lines = finished(chosen.out)
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    wanted = [] if chosen.report else [cell for cell in cells if cell.digest not in lines]
    with chosen.out.open("a", encoding="utf-8") as file:
        for done, line in enumerate(computed(run_cell, wanted, chosen.jobs), start=1):
            file.write(json.dumps(line) + "\n")
            file.flush()
            lines[line["digest"]] = line
            print(
                f"{done} of {len(wanted)}: {line['cohort']} {line['size']} world {line['seed']} {line['name']}",
                flush=True,
            )
    known = [lines[cell.digest] for cell in cells if cell.digest in lines]
    spent = costs(chosen.quick or bool(chosen.only))
    if chosen.report:
        write_tables(chosen.report, known, DATA, spent)
    print_tables(known, DATA, spent)
    print("RESULT " + json.dumps(figures(known, DATA) | spent | {"quick": chosen.quick}))


if __name__ == "__main__":
    main()
