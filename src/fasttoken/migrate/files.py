"""Files in, files out: which are read, what other files use, how they are written."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import libcst as cst

from .agora import CLASSES, CONSTANTS, PARAMETERS, agora_name, is_agora_import
from .edit import Apply, Edits
from .names import Names, imported, module_of, shown, within
from .outcome import LeftAlone, Migration, Note, Rewritten
from .plan import Planner
from .sites import find

# A file without any of these can't call a 006 builder, and is not parsed.
_MENTION = re.compile(
    rb"TokenBuilder|buildToken|addPrivilege|agora_token_builder|agoraiotools|AccessToken import"
)
_SKIPPED = {
    "build", "dist", "node_modules", "site-packages", "venv", "env", "virtualenv", "__pycache__",
}  # fmt: skip
_ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "manage.py")


def migrate_source(
    source: bytes,
    path: str | os.PathLike[str] = "module.py",
    exported: Callable[[str], bool] = lambda name: False,
) -> Migration:
    """The migration of one file. ``exported`` tells whether other files use a name of it."""
    place = Path(path)
    if not _MENTION.search(source):
        return Migration(place, source, source)
    try:
        # Python's own parser first: it bounds the nesting, beyond which LibCST's would crash.
        tree = _parsed(source)
        return _migrated(Names(cst.parse_module(source)), tree, place, source, exported)
    except SyntaxError as error:
        left = LeftAlone(error.lineno or 1, "syntax", f"can't be parsed: {error.msg}")
    except cst.ParserSyntaxError as error:
        message = error.message.splitlines()[0]
        left = LeftAlone(error.raw_line, "syntax", f"can't be parsed: {message}")
    except (ValueError, LookupError) as error:
        left = LeftAlone(1, "syntax", f"can't be read: {error}")
    except (RecursionError, MemoryError):
        left = LeftAlone(1, "syntax", "can't be parsed: it is nested too deeply")
    return Migration(place, source, source, left_alone=(left,))


def _parsed(source: bytes) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an invalid escape sequence, say
        return ast.parse(source)


def _migrated(
    names: Names, tree: ast.Module, path: Path, source: bytes, exported: Callable[[str], bool]
) -> Migration:
    copied = _copied_builder(names.module)
    if copied:
        note = Note(
            names.line(copied),
            f"a copy of AgoraIO's {copied.name.value}: delete it when nothing imports it any more",
        )
        return Migration(path, source, source, notes=(note,))
    public = _all(tree)

    def is_exported(name: str) -> bool:
        return names.opaque or path.name == "__init__.py" or name in public or exported(name)

    sites, failures = find(names)
    planner = Planner(names, is_exported)
    plans = planner.plans(sites)
    failures += planner.failures
    edits = Edits(names, plans, is_exported)
    left = [LeftAlone(names.line(call), why.code, why.reason) for call, why in failures]
    left += _remaining(names, [call for call, _ in failures], edits)
    notes = [note for plan in plans for note in plan.notes]
    after = names.module.visit(Apply(edits)).bytes if plans else source
    _parsed(after)  # to hand out what can't be parsed would be worse than to do nothing
    rewritten = [
        Rewritten(names.line(plan.site.call), plan.site.builder, plan.method) for plan in plans
    ]
    return Migration(
        path,
        source,
        after,
        tuple(sorted(rewritten)),
        tuple(sorted(set(left))),
        tuple(sorted(set(notes))),
    )


def _copied_builder(module: cst.Module) -> cst.ClassDef | None:
    """AgoraIO's own class, where the file is a hand copy of the library."""
    methods = {*PARAMETERS, "addPrivilege"}
    for node in module.body:
        if isinstance(node, cst.ClassDef) and node.name.value in CLASSES:
            for part in node.body.body:
                if isinstance(part, cst.FunctionDef) and part.name.value in methods:
                    return node
    return None


def _all(tree: ast.Module) -> set[str]:
    """The names in ``__all__``."""
    return {
        text.value
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign))
        and "__all__" in ast.dump(node)
        for text in ast.walk(node)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
    }


def _remaining(names: Names, reported: list[cst.Call], edits: Edits) -> list[LeftAlone]:
    """What still ties the file to a 006 package, besides the calls that are reported already."""
    explained = {id(part) for call in reported for part in within(call)}
    out: list[LeftAlone] = []
    for node in names.nodes:
        if isinstance(node, cst.ImportFrom) and isinstance(node.names, cst.ImportStar):
            module = module_of(node)
            if is_agora_import(module) or agora_name(f"{module}.*"):
                out.append(
                    LeftAlone(
                        names.line(node), "import", f"{shown(node)}: import the names instead"
                    )
                )
    for node, bound in edits.imports.items():
        for name, bindings in bound.items():
            if not edits.from_agora(node, name) or name in edits.dropped.get(node, ()):
                continue
            uses = [access.node for binding in bindings for access in binding.references]
            alive = [use for use in uses if not edits.is_gone(use)]
            constant = (imported(bindings[0], name) or "").rpartition(".")[2] in CONSTANTS
            for use in alive:
                if id(use) not in explained and not (constant and (reported or out)):
                    reason = f"{shown(use)} is used here other than in a call of a known builder"
                    out.append(LeftAlone(names.line(use), "use", reason))
            if not alive:
                why = "other files may use it" if edits.calls else "nothing in this file uses it"
                reason = f"the import of {name} stays: {why}"
                out.append(LeftAlone(names.line(node), "import", reason))
    return out


def python_files(path: Path) -> Iterator[Path]:
    """The Python files of a folder, without those of environments, builds and hidden folders."""
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _SKIPPED
            and not name.startswith(".")
            and not name.endswith(".egg-info")
            and not os.path.exists(os.path.join(folder, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            file = Path(folder, name)
            if name.endswith((".py", ".pyw")) and not file.is_symlink():
                yield file


class Neighbours:
    """Which names of a file the other files of its project use."""

    def __init__(self, path: Path) -> None:
        path = path.resolve()
        start = path if path.is_dir() else path.parent
        marked = (
            folder
            for folder in (start, *start.parents)
            if any((folder / mark).exists() for mark in _ROOT_MARKS)
        )
        self._root = next(marked, start)
        self._sources: dict[Path, bytes] | None = None
        self._trees: dict[Path, ast.Module | None] = {}

    def use(self, path: Path, name: str) -> bool:
        """Whether another file mentions ``name`` as something of the module at ``path``."""
        path = path.resolve()
        if self._sources is None:
            self._sources = {}
            for file in python_files(self._root):
                with contextlib.suppress(OSError):
                    self._sources[file] = file.read_bytes()
        stem = path.parent.name if path.stem == "__init__" else path.stem
        both = [re.compile(rb"\b%s\b" % word.encode()) for word in (stem, name)]
        star = re.compile(rb"\bimport\s+\*")
        for file, source in self._sources.items():
            if file == path or not both[0].search(source):
                continue
            if (both[1].search(source) or star.search(source)) and self._mentions(
                file, source, stem, name
            ):
                return True
        return False

    def _mentions(self, file: Path, source: bytes, stem: str, name: str) -> bool:
        if file not in self._trees:
            try:
                self._trees[file] = _parsed(source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._trees[file] = None
        tree = self._trees[file]
        if tree is None:
            return True  # it can't be read, so it may
        modules = {stem}
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                for alias in node.names:
                    if alias.asname and alias.name.split(".")[-1] == stem:
                        modules.add(alias.asname)
        return any(_mention(node, stem, modules, name) for node in ast.walk(tree))


def _mention(node: ast.AST, stem: str, modules: set[str], name: str) -> bool:
    def is_module(owner: ast.expr) -> bool:
        if isinstance(owner, ast.Attribute):
            return owner.attr == stem
        return isinstance(owner, ast.Name) and owner.id in modules

    if isinstance(node, ast.ImportFrom):
        last = (node.module or "").split(".")[-1]
        return last == stem and any(alias.name in (name, "*") for alias in node.names)
    if isinstance(node, ast.Attribute):
        return node.attr == name and is_module(node.value)
    if isinstance(node, ast.Call):  # as in setattr(module, "name", ...)
        named = any(isinstance(a, ast.Constant) and a.value == name for a in node.args)
        return named and any(map(is_module, node.args))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # as in patch("module.name")
        return re.search(rf"\b{re.escape(stem)}\.{re.escape(name)}\b", node.value) is not None
    return False


def migrate_path(path: str | os.PathLike[str]) -> Iterator[Migration]:
    """The migration of each Python file at ``path``, a file or a folder, that has to do with 006.

    Nothing is written. Files that can't be read are reported as left alone.
    """
    place = Path(path)
    neighbours = Neighbours(place)
    for file in python_files(place) if place.is_dir() else (place,):
        try:
            source = file.read_bytes()
        except OSError as error:
            left = LeftAlone(1, "syntax", f"can't be read: {error.strerror}")
            yield Migration(file, b"", b"", left_alone=(left,))
            continue
        migration = migrate_source(
            source,
            file,
            lambda name, file=file: neighbours.use(file, name),  # type: ignore[misc]
        )
        if migration.changed or migration.left_alone or migration.notes:
            yield migration


def write(migrations: Iterable[Migration]) -> list[Path]:
    """Writes what changed and returns where. All new files are ready before the first takes its
    place, and each takes it at once; a file that changed since it was read raises `OSError`."""
    ready: list[tuple[str, Path]] = []
    try:
        for migration in migrations:
            if not migration.changed:
                continue
            path = migration.path.resolve()
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            ready.append((name, path))
            with os.fdopen(handle, "wb") as file:
                file.write(migration.after)
            shutil.copymode(path, name)
            if path.read_bytes() != migration.before:
                raise OSError(f"{migration.path} changed since it was read")
        written = []
        while ready:
            name, path = ready[0]
            os.replace(name, path)
            written.append(path)
            ready.pop(0)
        return written
    finally:
        for name, _ in ready:
            os.unlink(name)
