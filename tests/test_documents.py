"""What the documents name is there: modules and names, commands and their flags, files."""

import argparse
import ast
import pkgutil
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from napari_pathlupi import cli

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/napari_pathlupi"
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
OURS = "https://github.com/napari-pathlupi/napari-pathlupi/blob/main/"

command_line = cache(cli._parser)
every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.M | re.S)


def fences(text: str, *languages: str) -> list[str]:
    return [dedent(block) for language, block in FENCE.findall(text) if language in languages]


@every_document
def test_every_name_of_the_package_in_a_document_can_be_imported(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    names = set(re.findall(r"\bnapari_pathlupi(?:\.\w+)+", text))
    for block in fences(text, "python"):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("napari_pathlupi"):
                names |= {f"{node.module}.{one.name}" for one in node.names}
    for name in sorted(names):
        assert pkgutil.resolve_name(name) is not None


def verbs_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    lists = [one.choices for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    return dict(lists[0]) if lists else {}


@every_document
def test_every_command_line_in_a_document_is_understood(document: Path) -> None:
    for block in fences(document.read_text(encoding="utf-8"), "", "sh", "bash", "console", "text"):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"(\$ )?pathlupi ", line):
                words = shlex.split(re.sub(r"[\[\]]|\|\S+|^\$ ", "", line), comments=True)
                assert command_line().parse_args(words[1:]).run, line


@every_document
def test_every_command_and_flag_that_a_document_mentions_is_there(document: Path) -> None:
    for span in re.findall(r"`pathlupi ([^`]+)`", document.read_text(encoding="utf-8")):
        parsers, words = [command_line()], span.replace("\\|", "|").split()
        while words and re.fullmatch(r"[a-z|-]+", words[0]) and verbs_of(parsers[0]):
            listed, named = verbs_of(parsers[0]), words.pop(0).split("|")
            assert set(named) <= set(listed), span
            parsers = [listed[name] for name in named]
        flags = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", " ".join(words)))
        for parser in parsers:
            assert flags <= set(parser._option_string_actions), span


@every_document
def test_every_file_that_a_document_points_at_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)", FENCE.sub("", text)):
        if link.startswith(OURS):
            assert (ROOT / link.removeprefix(OURS)).exists(), link
        elif "://" not in link:
            assert (document.parent / link).exists(), link
    for path in re.findall(r"`(?:python )?((?:benchmarks|tests|docs|napari_pathlupi)/[\w/.-]+)", text):
        assert any((folder / path).exists() for folder in (ROOT, ROOT / "src")), path


def test_the_rooms_in_the_architecture_are_those_in_the_source() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = next(block for block in fences(text, "") if block.startswith("src/napari_pathlupi/"))
    told = {f"workflows/{name}" if indent else name for indent, name in re.findall(r"^  (  )?([\w.]+/?)", tree, re.M)}
    told = {name.rstrip("/") for name in told}
    for folder, prefix in ((SOURCE, ""), (SOURCE / "workflows", "workflows/")):
        rooms = {f"{prefix}{path.parent.name}" for path in folder.glob("*/__init__.py")}
        files = {path.name for path in folder.glob("*.*") if not prefix and path.name != "py.typed"}
        assert rooms | files == {name for name in told if ("/" in name) == bool(prefix)}
    layers = next(block for block in fences(text, "") if block.startswith("widgets"))
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert layers.split("\n")[:-1] == contracts[0]["layers"]


def test_the_contracts_and_nouns_in_the_architecture_are_there() -> None:
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    contracts = re.findall(r"^\| [\w ]+ \| `[\w/]+\.py` \| .* \| `([\w/]+\.py)` \|$", text, re.M)
    assert len(contracts) >= 10
    for path in contracts:
        assert (SOURCE / path).is_file()
    for nouns, homes in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| .* \| ((?:`[\w.]+`(?:, )?)+) \|$", text, re.M):
        modules = [pkgutil.resolve_name(f"napari_pathlupi.{home}") for home in re.findall(r"`([\w.]+)`", homes)]
        for noun in re.findall(r"`(\w+)`", nouns):
            assert any(hasattr(module, noun) for module in modules), noun
