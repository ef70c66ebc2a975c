"""What stands in a file: small readers of expressions, and what names are bound to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import libcst as cst
from libcst.metadata import (
    Assignment,
    BaseAssignment,
    BuiltinAssignment,
    CodeRange,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    Scope,
    ScopeProvider,
)


def shown(node: cst.CSTNode) -> str:
    text = " ".join(cst.Module([]).code_for_node(node).split())
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def within(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from within(child)


def stripped(node: cst.BaseExpression) -> cst.BaseExpression:
    """Without its own parentheses, where an argument needs none. A name keeps them, so that it
    stays the same node."""
    bare = (cst.BaseNumber, cst.BinaryOperation, cst.BooleanOperation, cst.IfExp, cst.Call)
    if not isinstance(node, bare) or not node.lpar:
        return node
    return node.with_changes(lpar=(), rpar=())


def parenthesized(node: cst.BaseExpression) -> cst.BaseExpression:
    if node.lpar or isinstance(node, (cst.Name, cst.Call, cst.Attribute)):
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def text_of(node: cst.CSTNode) -> str | None:
    """The value of a str literal without fields."""
    if isinstance(node, (cst.SimpleString, cst.ConcatenatedString)):
        value = node.evaluated_value
        return value if isinstance(value, str) else None
    return None


def number_of(node: cst.CSTNode) -> int | None:
    return node.evaluated_value if isinstance(node, cst.Integer) else None


def positional(call: cst.Call) -> list[cst.BaseExpression] | None:
    """The arguments of a call that has nothing but positional ones."""
    if any(argument.keyword or argument.star for argument in call.args):
        return None
    return [argument.value for argument in call.args]


def has_effects(node: cst.CSTNode) -> bool:
    """Whether evaluating an expression may do something besides."""
    effects = (cst.Call, cst.Await, cst.Yield, cst.NamedExpr)
    return any(isinstance(part, effects) for part in within(node))


def comments_in(nodes: Iterable[object]) -> list[str]:
    return [
        part.value
        for node in nodes
        if isinstance(node, cst.CSTNode)
        for part in within(node)
        if isinstance(part, cst.Comment)
    ]


class Names:
    """A parsed file, and what its names are bound to."""

    def __init__(self, module: cst.Module) -> None:
        wrapper = MetadataWrapper(module)
        self.module = wrapper.module
        self._scopes = wrapper.resolve(ScopeProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._ranges = wrapper.resolve(PositionProvider)
        self.nodes = list(within(self.module))
        # Bound or unbound in ways that the scopes don't record, or reachable by any name at all.
        self._untraceable: set[str] = set()
        self.stored_attributes: set[str] = set()
        self.opaque = False
        self.waits: list[cst.CSTNode] = []
        for node in self.nodes:
            self._inspect(node)

    def _inspect(self, node: cst.CSTNode) -> None:
        target: cst.CSTNode | None = None
        if isinstance(node, (cst.MatchAs, cst.MatchStar)):
            target = node.name
        elif isinstance(node, cst.MatchMapping):
            target = node.rest
        elif isinstance(node, cst.NamedExpr):  # in a comprehension it binds outside of it
            target = node.target
        elif isinstance(node, cst.Del):
            for part in within(node.target):
                if isinstance(part, cst.Name):
                    self._untraceable.add(part.value)
        elif isinstance(node, (cst.AssignTarget, cst.AugAssign, cst.AnnAssign)):
            self.stored_attributes |= {
                part.attr.value for part in within(node.target) if isinstance(part, cst.Attribute)
            }
        elif isinstance(node, (cst.Await, cst.Yield, cst.Asynchronous)):
            self.waits.append(node)
        elif isinstance(node, cst.Call):
            name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
            if isinstance(name, cst.Name):
                if name.value in ("sleep", "wait", "input"):
                    self.waits.append(node)
                self.opaque |= name.value in ("locals", "globals", "vars", "eval", "exec")
        if isinstance(target, cst.Name):
            self._untraceable.add(target.value)

    def range(self, node: cst.CSTNode) -> CodeRange:
        return self._ranges[node]

    def line(self, node: cst.CSTNode) -> int:
        return self._ranges[node].start.line

    def start(self, node: cst.CSTNode) -> tuple[int, int]:
        position = self._ranges[node].start
        return position.line, position.column

    def end(self, node: cst.CSTNode) -> tuple[int, int]:
        position = self._ranges[node].end
        return position.line, position.column

    def original(self, node: cst.CSTNode) -> bool:
        """Whether a node stands in the file, and was not made here."""
        return node in self._parents

    def scope(self, node: cst.CSTNode) -> Scope | None:
        return self._scopes.get(node)

    def waits_between(self, first: cst.CSTNode, last: cst.CSTNode) -> int | None:
        """The line where the program may be held up in or after ``first``, before ``last`` ends."""
        for wait in self.waits:
            node = self.parent(wait) if isinstance(wait, cst.Asynchronous) else wait
            if self.start(first) <= self.start(node) < self.end(last):
                return self.line(node)
        return None

    def parent(self, node: cst.CSTNode) -> cst.CSTNode:
        return self._parents[node]

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        while node in self._parents:
            node = self._parents[node]
            yield node

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The innermost statement that a node is part of."""
        kinds = (cst.BaseSmallStatement, cst.BaseCompoundStatement)
        return next(part for part in (node, *self.ancestors(node)) if isinstance(part, kinds))

    def block(self, node: cst.CSTNode) -> cst.CSTNode:
        """The block that holds a node's statement."""
        blocks = (cst.IndentedBlock, cst.SimpleStatementSuite, cst.Module)
        return next(part for part in self.ancestors(node) if isinstance(part, blocks))

    def bindings(self, name: cst.Name) -> list[BaseAssignment]:
        scope = self.scope(name)
        return list(scope[name.value]) if scope else []

    def lines(self, bindings: Iterable[BaseAssignment]) -> str:
        """The lines of bindings, in words."""
        nodes = [getattr(binding, "node", None) for binding in bindings]
        lines = sorted({self.line(node) for node in nodes if isinstance(node, cst.CSTNode)})
        return ("line " if len(lines) == 1 else "lines ") + ", ".join(map(str, lines))

    def traceable(self, name: str) -> bool:
        """Whether all bindings and uses of a variable are known."""
        return not self.opaque and name not in self._untraceable

    def value(self, binding: BaseAssignment) -> cst.BaseExpression | None:
        """What a plain assignment to one name assigns; None for any other binding."""
        if not isinstance(binding, Assignment) or not isinstance(binding.node, cst.Name):
            return None
        parent = self.parent(binding.node)
        if isinstance(parent, cst.AnnAssign) and parent.target is binding.node:
            return parent.value
        if isinstance(parent, cst.AssignTarget):
            assign = self.parent(parent)
            if isinstance(assign, cst.Assign) and len(assign.targets) == 1:
                return assign.value
        return None

    def only_value(self, name: cst.Name) -> cst.BaseExpression | None:
        """What a name holds, if it is assigned in one place only."""
        bindings = self.bindings(name)
        if len(bindings) != 1 or not self.traceable(name.value):
            return None
        return self.value(bindings[0])

    def dotted(self, node: cst.CSTNode) -> str | None:
        """The full dotted name of an imported or built-in thing, else None."""
        attributes: list[str] = []
        while isinstance(node, cst.Attribute):
            attributes.insert(0, node.attr.value)
            node = node.value
        if not isinstance(node, cst.Name) or node.value in self._untraceable:
            return None
        roots = {imported(binding, node.value) for binding in self.bindings(node)}
        root = roots.pop() if len(roots) == 1 else None
        return None if root is None else ".".join([root, *attributes])

    def constant(self, node: cst.CSTNode, scope: Scope | None = None) -> int | float | str | None:
        """The value of literals, arithmetic on them, and names that hold such; with ``scope``,
        names of that scope only."""
        if isinstance(node, (cst.Integer, cst.Float)):
            return node.evaluated_value
        text = text_of(node)
        if text is not None:
            return text
        if isinstance(node, cst.Name):
            value = self.only_value(node)
            if value is not None and scope in (None, self.bindings(node)[0].scope):
                return self.constant(value, scope)
        if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
            operand = self.constant(node.expression, scope)
            return -operand if isinstance(operand, (int, float)) else None
        if isinstance(node, cst.BinaryOperation):
            left, right = self.constant(node.left, scope), self.constant(node.right, scope)
            if isinstance(left, (int, float)) and isinstance(right, (int, float)):
                if isinstance(node.operator, cst.Add):
                    return left + right
                if isinstance(node.operator, cst.Subtract):
                    return left - right
                if isinstance(node.operator, cst.Multiply):
                    return left * right
        return None

    def literals(self, node: cst.CSTNode, depth: int = 4) -> Iterator[int | str]:
        """The literals in sight that an expression may come to be: a default, a fallback."""
        if depth == 0:
            return
        number, text = number_of(node), text_of(node)
        if number is not None or text is not None:
            yield number if number is not None else str(text)
        elif isinstance(node, cst.IfExp):
            yield from self.literals(node.body, depth)
            yield from self.literals(node.orelse, depth)
        elif isinstance(node, cst.BooleanOperation):
            yield from self.literals(node.left, depth)
            yield from self.literals(node.right, depth)
        elif isinstance(node, cst.Name):
            for binding in self.bindings(node):
                value = self.value(binding)
                if value is None and isinstance(getattr(binding, "node", None), cst.Param):
                    value = binding.node.default  # type: ignore[attr-defined]
                if value is not None:
                    yield from self.literals(value, depth - 1)
        elif isinstance(node, cst.Call):
            name = node.func.attr.value if isinstance(node.func, cst.Attribute) else ""
            to_int, to_str = (self.dotted(node.func) == f"builtins.{t}" for t in ("int", "str"))
            if (to_int or to_str) and node.args:
                for literal in self.literals(node.args[0].value, depth - 1):
                    if to_str:
                        yield str(literal)
                    elif str(literal).strip().isdecimal():
                        yield int(literal)
            elif name in ("get", "getenv", "pop"):
                for index, argument in enumerate(node.args):
                    keyword = argument.keyword.value if argument.keyword else None
                    if keyword == "default" or (keyword is None and index == 1):
                        yield from self.literals(argument.value, depth - 1)


def imported(binding: BaseAssignment, name: str) -> str | None:
    """The dotted name that an import, or Python itself, binds to ``name``; else None."""
    if isinstance(binding, BuiltinAssignment):
        return f"builtins.{name}"
    if not isinstance(binding, ImportAssignment):
        return None
    node = binding.node
    if isinstance(node, cst.ImportFrom):
        for alias in aliases_of(node):
            if bound_name(alias) == name:
                return f"{module_of(node)}.{alias.evaluated_name}"
        return None
    for alias in aliases_of(node):
        if alias.asname is None and bound_name(alias) == name:
            return name
        if bound_name(alias) == name:
            return alias.evaluated_name
    return None


def module_of(node: cst.ImportFrom) -> str:
    return "." * len(node.relative) + (source_of(node.module) if node.module else "")


def source_of(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node)


def aliases_of(node: cst.Import | cst.ImportFrom | Any) -> Sequence[cst.ImportAlias]:
    names = getattr(node, "names", ())
    return () if isinstance(names, cst.ImportStar) else names


def bound_name(alias: cst.ImportAlias) -> str:
    return alias.evaluated_alias or alias.evaluated_name.split(".")[0]
