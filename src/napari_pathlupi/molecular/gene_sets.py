"""Gene sets: names of groups of genes that act together."""

from functools import cache
from pathlib import Path
from types import MappingProxyType

from napari_pathlupi.errors import TableError

GeneSets = MappingProxyType[str, tuple[str, ...]]
"""Gene symbols by name of the set; read-only."""

_HALLMARK = Path(__file__).with_name("h.all.v7.0.symbols.gmt")


def read_gmt(path: str | Path) -> GeneSets:
    """Return the gene sets of a GMT file, in its order.

    One set per line, fields separated by tabs: name, description, gene symbols (format of GSEA, Broad Institute). Empty
    lines and empty fields are skipped; a gene that is named twice in a set counts once.

    Raises
    ------
    TableError
        When the file cannot be read, holds no set, names a set twice, or a line is not of that form.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"cannot read the gene sets {path}: {error}; give a GMT file in UTF-8.") from error
    gene_sets: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *rest = (field.strip() for field in line.split("\t"))
        genes = tuple(dict.fromkeys(gene for gene in rest[1:] if gene))
        if not name or not genes:
            raise TableError(f"{path.name}, line {number}: name, description and genes are needed, parted by tabs.")
        if name in gene_sets:
            raise TableError(f"{path.name}, line {number}: the gene set {name} is there twice: rename one of them.")
        gene_sets[name] = genes
    if not gene_sets:
        raise TableError(f"{path.name} holds no gene set: give a GMT file.")
    return MappingProxyType(gene_sets)


@cache
def hallmark() -> GeneSets:
    """Return the 50 Hallmark gene sets of MSigDB v7.0.

    Liberzon et al., Cell Systems 1:417, 2015; CC BY 4.0, Broad Institute, MIT and the Regents of the University of
    California. The attribution stands beside the file.
    """
    return read_gmt(_HALLMARK)
