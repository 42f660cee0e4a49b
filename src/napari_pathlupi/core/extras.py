"""Optional libraries: loaded when first needed, and one sentence when one is absent or broken."""

from importlib import import_module
from types import ModuleType

from napari_pathlupi.errors import MissingExtraError, words_of


def load_extra(library: str, install: str, needed_by: str = "") -> ModuleType:
    """Return an optional library.

    Parameters
    ----------
    library
        Its module.
    install
        What brings it: an extra of this package, or a whole command.
    needed_by
        What asks for it, where the library's own name would tell a user nothing.

    Raises
    ------
    MissingExtraError
        When it is absent or broken.
    """
    try:
        return import_module(library)
    except Exception as error:  # a broken library may raise anything while it is imported
        command = install if " " in install else f"pip install -c constraints.txt 'napari-pathlupi[{install}]'"
        what = f"{needed_by} needs {library}, which" if needed_by else library
        raise MissingExtraError(f"{what} cannot be loaded ({words_of(error)}): {command}.") from error
