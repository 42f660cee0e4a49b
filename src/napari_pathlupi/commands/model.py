"""``pathlupi model list|show|install|remove|check``."""

import argparse

from napari_pathlupi.commands._command import Command, add_verbs, do_verb


def _arguments(parser: argparse.ArgumentParser) -> None:
    verbs = add_verbs(
        parser,
        {
            "list": ("list the models that are at hand (the default)", _list),
            "show": ("print the card of a model as Markdown", _show),
            "install": ("put a model where its name suffices: a folder, a zip, https:// or hf://owner/name", _install),
            "remove": ("delete an installed model", _remove),
            "check": ("see whether a model reproduces its golden example on this machine", _check),
        },
    )
    for verb in ("show", "check"):
        verbs[verb].add_argument("model", help="name of a model, or its folder")
    verbs["remove"].add_argument("model", help="name of an installed model")
    verbs["check"].add_argument("--device", default="auto", help="auto, cuda, mps or cpu (default auto)")
    install = verbs["install"]
    install.add_argument("place", help="folder, .zip, https://…/model.zip, or hf://owner/name[@revision][/folder]")
    install.add_argument("--name", default="", help="by which it is asked for (default: that of its card)")
    install.add_argument("--digest", default="", help="SHA-256 that it must have, as `pathlupi model show` prints it")
    install.add_argument("--replace", action="store_true", help="put it in place of an installed one of that name")


def _list(_: argparse.Namespace) -> None:
    from napari_pathlupi.bundle import list_bundles, load_bundle
    from napari_pathlupi.errors import BundleError

    width = max(24, *map(len, list_bundles()))
    for name in list_bundles():
        try:
            card = load_bundle(name).card
            print(f"{name:<{width}} {card.task.name:<15} {card.patch_encoder.name:<15} {card.title}")
        except BundleError as error:
            print(f"{name:<{width}} cannot be used: {error}")


def _show(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.bundle import load_bundle
    from napari_pathlupi.workflows.prediction.installed_models import as_markdown

    print(as_markdown(load_bundle(chosen.model)))


def _install(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.prediction.installed_models import install

    bundle = install(chosen.place, chosen.name, chosen.digest, chosen.replace)
    print(f"{bundle.folder.name}: {bundle.card.title}. It reproduced its golden example; digest {bundle.digest}.")
    name = bundle.folder.name
    print(f"Next: pathlupi predict SLIDE --model {name} -o RESULTS, or pathlupi model show {name}.")


def _remove(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.workflows.prediction.installed_models import remove

    remove(chosen.model)
    print(f"{chosen.model} was deleted.")


def _check(chosen: argparse.Namespace) -> None:
    from napari_pathlupi.bundle import load_bundle
    from napari_pathlupi.workflows.device import choose_device
    from napari_pathlupi.workflows.prediction.ensemble import Ensemble

    bundle, device = load_bundle(chosen.model), choose_device(chosen.device)
    Ensemble.from_bundle(bundle, device.name)
    print(f"{bundle.card.title}: whole, and reproduces its golden example on {device.words}.")


COMMAND = Command("list, show, install and check models", _arguments, do_verb)
