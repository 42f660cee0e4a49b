"""Who is in one table and not in another."""

from collections.abc import Iterable

from napari_pathlupi.molecular.axes import some


def matching(cases: Iterable[str], measured: Iterable[str], what: str) -> str:
    """Return in a sentence how many cases were measured, and whom either list lacks, with counts both ways.

    Parameters
    ----------
    cases
        Of a cohort, or those that have slides.
    measured
        Cases of a molecular table.
    what
        What the table is called: "RNA", "DNA".
    """
    ours, theirs = list(dict.fromkeys(cases)), list(dict.fromkeys(measured))
    known, wanted = set(theirs), set(ours)
    without, unmatched = [case for case in ours if case not in known], [case for case in theirs if case not in wanted]
    words = f"{len(ours) - len(without)} of {len(ours)} cases have {what}"
    words += f"; {len(without)} have none ({some(without)})" if without else ""
    words += f"; {len(unmatched)} cases with {what} are not among them ({some(unmatched)})" if unmatched else ""
    return words + "."
