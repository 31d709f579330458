"""Conditions of tasks: the part of the Common Expression Language (CEL) that TFX and KFP compile to.

Literals, `inputs...` with .field and ['key'] and [0], comparisons, !, &&, ||, parentheses, and the conversions int(), double(),
string(). As in CEL, && and || give an answer where the other side alone decides, even if one side has none; an error otherwise,
such as of a missing key, is the task's failure [reading].
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.vertex.rehearsal.errors import TaskFailedError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>&&|\|\||[=!<>]=|[<>!()\[\].,]))"
)
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_LITERALS = {"true": True, "false": False, "null": None}
_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {"int": int, "double": float, "string": str}
_END = ("end", "")


class _NoAnswer(Exception):  # noqa: N818  # an answer that there is not is a value here
    pass


def holds(expression: str, inputs: Mapping[str, Any]) -> bool:
    """Tell whether a condition is true.

    Args:
      expression: such as "inputs.artifacts['model'].artifacts[0].metadata['blessed'] == 1".
      inputs: what `inputs` stands for.

    Raises:
      TaskFailedError: it cannot be read, or has no answer.
    """
    parser = _Parser(expression, {"inputs": inputs})
    try:
        evaluate = parser.either()
        parser.expect(_END)
        answer = evaluate()
    except _NoAnswer as error:
        raise TaskFailedError(f"The condition {expression} has no answer: {error}") from None
    if not isinstance(answer, bool):
        raise TaskFailedError(f"The condition {expression} is {answer!r}; expected true or false.")
    return answer


class _Parser:
    """Recursive descent; every rule returns a function that evaluates what was read."""

    def __init__(self, expression: str, names: Mapping[str, Any]):
        self._expression, self._names = expression, names
        self._tokens = self._split()

    def _split(self) -> list[tuple[str, str]]:
        tokens, at = [], 0
        text = self._expression.rstrip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if not found:
                raise TaskFailedError(f"Cannot read the condition {self._expression} at {text[at:]!r}.")
            tokens.append((found.lastgroup or "", found.group(found.lastgroup or 0)))
            at = found.end()
        return [*tokens, _END]

    def expect(self, token: tuple[str, str]) -> None:
        if self._tokens[0] != token:
            expected = repr(token[1]) if token[1] else "its end"
            raise TaskFailedError(f"Cannot read the condition {self._expression}: {expected} was expected at {self._rest()}.")
        if token != _END:
            self._tokens.pop(0)

    def _rest(self) -> str:
        return repr(" ".join(text for _, text in self._tokens[:-1])) if self._tokens[0] != _END else "its end"

    def _take(self, *signs: str) -> str | None:
        kind, text = self._tokens[0]
        if kind == "sign" and text in signs:
            self._tokens.pop(0)
            return text
        return None

    def either(self) -> Callable[[], Any]:
        left = self._both()
        while self._take("||"):
            left = _deciding(left, self._both(), True)
        return left

    def _both(self) -> Callable[[], Any]:
        left = self._comparison()
        while self._take("&&"):
            left = _deciding(left, self._comparison(), False)
        return left

    def _comparison(self) -> Callable[[], Any]:
        left = self._not()
        while sign := self._take(*_COMPARISONS):
            left = _compared(sign, left, self._not())
        return left

    def _not(self) -> Callable[[], Any]:
        if self._take("!"):
            inner = self._not()
            return lambda: not _truth(inner())
        return self._member()

    def _member(self) -> Callable[[], Any]:
        value = self._primary()
        while sign := self._take(".", "["):
            if sign == ".":
                kind, name = self._tokens.pop(0)
                if kind != "name":
                    raise TaskFailedError(f"Cannot read the condition {self._expression}: a name was expected, not {name!r}.")
                value = _looked_up(value, lambda name=name: name)  # type: ignore[misc]
            else:
                value = _looked_up(value, self.either())
                self.expect(("sign", "]"))
        return value

    def _primary(self) -> Callable[[], Any]:
        if self._take("("):
            inner = self.either()
            self.expect(("sign", ")"))
            return inner
        if self._tokens[0] == _END or self._tokens[0][0] == "sign":
            raise TaskFailedError(f"Cannot read the condition {self._expression}: a value was expected at {self._rest()}.")
        kind, text = self._tokens.pop(0)
        if kind == "number":
            number = float(text) if re.search(r"[.eE]", text) else int(text)
            return lambda: number
        if kind == "text":
            unquoted = re.sub(r"\\(.)", r"\1", text[1:-1])
            return lambda: unquoted
        if text in _LITERALS:
            return lambda: _LITERALS[text]
        if text in _CONVERSIONS:
            self.expect(("sign", "("))
            inner = self.either()
            self.expect(("sign", ")"))
            return lambda: _converted(text, inner())
        if text not in self._names:
            raise TaskFailedError(f"Cannot read the condition {self._expression}: there is no '{text}', only 'inputs'.")
        return lambda: self._names[text]


def _deciding(left: Callable[[], Any], right: Callable[[], Any], decisive: bool) -> Callable[[], bool]:
    def evaluate() -> bool:
        problem = None
        for side in (left, right):
            try:
                if _truth(side()) is decisive:
                    return decisive
            except _NoAnswer as error:
                problem = problem or error
        if problem:
            raise problem
        return not decisive

    return evaluate


def _compared(sign: str, left: Callable[[], Any], right: Callable[[], Any]) -> Callable[[], bool]:
    def evaluate() -> bool:
        one, other = left(), right()
        if sign in ("==", "!=") and isinstance(one, bool) is not isinstance(other, bool):
            return sign == "!="  # in Python True is 1
        try:
            return _COMPARISONS[sign](one, other)
        except TypeError:
            raise _NoAnswer(f"{one!r} {sign} {other!r} compares different types.") from None

    return evaluate


def _looked_up(value: Callable[[], Any], key: Callable[[], Any]) -> Callable[[], Any]:
    def evaluate() -> Any:
        container, wanted = value(), key()
        if isinstance(container, Mapping) and wanted in container:
            return container[wanted]
        if isinstance(container, Sequence) and not isinstance(container, str) and isinstance(wanted, int):
            if 0 <= wanted < len(container):
                return container[wanted]
            raise _NoAnswer(f"there is no item {wanted} of {len(container)}.")
        there = ", ".join(map(str, container)) if isinstance(container, Mapping) else repr(container)
        raise _NoAnswer(f"there is no '{wanted}', only {there or 'nothing'}.")

    return evaluate


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _NoAnswer(f"{value!r} is neither true nor false.")
    return value


def _converted(kind: str, value: Any) -> Any:
    try:
        return _CONVERSIONS[kind](value)
    except (TypeError, ValueError):
        raise _NoAnswer(f"{value!r} is no {kind}.") from None
