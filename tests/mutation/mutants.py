"""The mutants of one file: each changes one operator, number, truth value or branch. Made by cosmic-ray's operators."""

import ast
import difflib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from cosmic_ray.ast import get_ast
from cosmic_ray.mutating import MutationVisitor
from cosmic_ray.operators.operator import Operator
from cosmic_ray.operators.provider import OperatorProvider

_BINARY = (
    *("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "FloorDiv_Div", "Mod_Mul", "Pow_Mul", "BitOr_BitAnd", "BitAnd_BitOr"),
)
_COMPARISON = (
    *("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt", "LtE_GtE", "GtE_LtE"),
    *("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is"),
)
_UNARY = ("Delete_USub", "Delete_Invert", "Delete_Not")
_OTHERS = (
    *("AddNot", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak", "NumberReplacer", "ZeroIterationForLoop"),
)
OPERATORS = (
    *(f"ReplaceBinaryOperator_{name}" for name in _BINARY),
    *(f"ReplaceComparisonOperator_{name}" for name in _COMPARISON),
    *(f"ReplaceUnaryOperator_{name}" for name in _UNARY),
    *_OTHERS,
)


@dataclass(frozen=True, order=True)
class Place:
    """Where a source can be changed: line and column from 1 and 0, and which occurrence of which operator it is."""

    line: int
    column: int
    operator: str
    occurrence: int


@dataclass(frozen=True)
class Mutant:
    """One changed source; `line` counts from 1, `before` and `after` are what of it differs, stripped."""

    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        return f"{self.before}  ->  {self.after}"


def places_of(source: str) -> list[Place]:
    """Every place, by line; none in annotations and decorators, which nothing computes with."""
    still, tree = _not_computed(source), get_ast(source)
    found = []
    for name in OPERATORS:
        operator = OperatorProvider()[name]()
        for occurrence, (line, column) in enumerate(_positions(tree, operator)):
            if not any(start <= (line, column) < end for start, end in still):
                found.append(Place(line, column, name, occurrence))
    return sorted(found)


def chosen(source: str, places: list[Place], most: int, seed: str, always: tuple[str, ...] = ()) -> list[Place]:
    """At most so many of them by chance, the same for the same seed; and all on lines that hold an `always`."""
    lines = source.splitlines()
    named = [place for place in places if any(words in lines[place.line - 1] for words in always)]
    rest = [place for place in places if place not in named]
    return sorted([*named, *random.Random(seed).sample(rest, min(most, len(rest)))])


def mutant_at(source: str, place: Place) -> Mutant:
    """The source changed at a place."""
    mutated = MutationVisitor.mutate_code(source, OperatorProvider()[place.operator](), place.occurrence)
    before, after = source.splitlines(), mutated.splitlines()
    _, first, last, begin, end = next(
        step for step in difflib.SequenceMatcher(None, before, after, False).get_opcodes() if step[0] != "equal"
    )
    old, new = (
        " ".join(" ".join(line.split("  #")[0].split(" # ")[0].split()) for line in lines)
        for lines in (before[first:last], after[begin:end])
    )
    return Mutant(place.line, old, new, mutated)


def _positions(tree: object, operator: Operator) -> list[tuple[int, int]]:
    """(line, column) of each occurrence, in the order in which `MutationVisitor` counts them."""
    found = [start for start, _ in operator.mutation_positions(tree)]
    for child in getattr(tree, "children", ()):
        found += _positions(child, operator)
    return found


def _not_computed(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Spans (start, end) of annotations and decorators, lines from 1."""
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in _still_nodes(ast.parse(source))
    ]


def _still_nodes(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield from node.decorator_list
        if isinstance(node, ast.FunctionDef) and node.returns:
            yield node.returns
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation:
            yield node.annotation
