"""Protocols that are asked for by ``isinstance`` in every call, with the answer remembered for each class.

`typing` reads all members of a protocol anew at each question, which costs ten microseconds: a dozen questions would be
most of what a call on a small matrix takes.  The answer is the same for all instances of a class unless they carry
attributes of their own, so it is remembered for classes whose instances have no dictionary; others are asked as ever.
"""

from __future__ import annotations

import abc
import weakref
from typing import TYPE_CHECKING, Any, Protocol

__all__ = ["Capability"]

# The metaclass of protocols is private to `typing`; a class statement needs it, a type checker its public base.
_ProtocolMeta: Any = abc.ABCMeta if TYPE_CHECKING else type(Protocol)


class Capability(_ProtocolMeta):  # type: ignore[misc]
    """The metaclass of a runtime-checkable protocol whose ``isinstance`` is asked often.

    Examples
    --------
    >>> from typing import Protocol, runtime_checkable
    >>> @runtime_checkable
    ... class Quacks(Protocol, metaclass=Capability):
    ...     def quack(self) -> str: ...
    >>> class Duck:
    ...     __slots__ = ()
    ...
    ...     def quack(self) -> str:
    ...         return "quack"
    >>> isinstance(Duck(), Quacks), isinstance(3, Quacks)
    (True, False)
    """

    def __instancecheck__(cls, instance: Any) -> bool:
        kind = type(instance)
        try:
            return _answers[kind][cls]
        except KeyError:
            answer = bool(super().__instancecheck__(instance))
            if not hasattr(instance, "__dict__"):
                _answers.setdefault(kind, {})[cls] = answer
            return answer


_answers: weakref.WeakKeyDictionary[type, dict[type, bool]] = weakref.WeakKeyDictionary()
