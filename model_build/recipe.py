"""How a smaller network is made of the trained one: a recipe is steps joined by ``+``, done from left to right.

full                     the trained network as it is
cut:3   cut:0.5          keeps that many layers (or that share), chosen by what leaving each out costs on dev
cut:0,2,4                keeps these layers
prune:heads=0.5,ffn=0.5  keeps these shares of each layer's attention heads and inner neurons, the important ones
soup                     the mean of the weights of ``distil.teachers`` trainings of other seeds, those that do not harm
student                  starts over with the network of the section [student]
tune                     trains on the labelled texts
distil                   trains on the teachers' answers, to unlabelled texts too
trim                     leaves out the tokens of a pretrained base that no labelled and no unlabelled text has
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

StepName = Literal["full", "cut", "prune", "soup", "student", "tune", "distil", "trim"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: ``layers`` to keep by index, or ``keep`` layers as a count or a share; shares of heads and neurons."""

    name: StepName
    layers: tuple[int, ...] = ()
    keep: float = 0
    heads: float = 1
    ffn: float = 1


def parse_recipe(recipe: str) -> tuple[Step, ...]:
    """The steps of a recipe. Raises ValueError naming the step that nobody knows.

    >>> [step.name for step in parse_recipe("cut:3+distil")]
    ['cut', 'distil']
    """
    steps = tuple(_parse_step(part.strip()) for part in recipe.split("+"))
    if any(step.name == "soup" for step in steps[1:]):
        raise ValueError(f"{recipe!r}: a soup is made of whole networks, so that it comes first")
    return steps


def _parse_step(part: str) -> Step:
    name, _, argument = part.partition(":")
    parser = _PARSERS.get(name)
    if parser is None:
        raise ValueError(f"{part!r} is not a step; known: {', '.join(_PARSERS)}")
    try:
        return parser(argument)
    except ValueError as error:
        raise ValueError(f"{part!r}: {error}") from error


def _parse_cut(argument: str) -> Step:
    if "," in argument:
        return Step(name="cut", layers=tuple(sorted({int(index) for index in argument.split(",")})))
    keep = float(argument)
    if not keep > 0 or (keep >= 1 and not keep.is_integer()):
        raise ValueError("it keeps a number of layers, or a share between 0 and 1")
    return Step(name="cut", keep=keep)


def _parse_prune(argument: str) -> Step:
    shares = {"heads": 1.0, "ffn": 1.0}
    for pair in argument.split(","):
        key, _, value = pair.strip().partition("=")
        if key not in shares:
            raise ValueError(f"{key!r} is neither heads nor ffn")
        shares[key] = float(value)
        if not 0 < shares[key] <= 1:
            raise ValueError(f"{key} keeps a share above 0, at most 1")
    return Step(name="prune", heads=shares["heads"], ffn=shares["ffn"])


def _plain(name: StepName) -> Callable[[str], Step]:
    def parse(argument: str) -> Step:
        if argument:
            raise ValueError("this step takes nothing after a colon")
        return Step(name=name)

    return parse


_PARSERS: dict[str, Callable[[str], Step]] = {
    "full": _plain("full"),
    "cut": _parse_cut,
    "prune": _parse_prune,
    "soup": _plain("soup"),
    "student": _plain("student"),
    "tune": _plain("tune"),
    "distil": _plain("distil"),
    "trim": _plain("trim"),
}
