"""Recipes are read whole or refused by the step that nobody knows."""

import pytest

from model_build.recipe import Step, parse_recipe


@pytest.mark.parametrize(
    ("recipe", "steps"),
    [
        ("full", [Step(name="full")]),
        ("cut:3+distil", [Step(name="cut", keep=3), Step(name="distil")]),
        ("cut:0.5", [Step(name="cut", keep=0.5)]),
        ("cut:4,0,2 + tune", [Step(name="cut", layers=(0, 2, 4)), Step(name="tune")]),
        ("prune:heads=0.5,ffn=0.25", [Step(name="prune", heads=0.5, ffn=0.25)]),
        ("prune:ffn=0.5+distil", [Step(name="prune", ffn=0.5), Step(name="distil")]),
        ("student+distil", [Step(name="student"), Step(name="distil")]),
        ("cut:2+trim", [Step(name="cut", keep=2), Step(name="trim")]),
        ("soup+cut:2", [Step(name="soup"), Step(name="cut", keep=2)]),
    ],
)
def test_steps_are_read_from_left_to_right(recipe: str, steps: list[Step]) -> None:
    assert list(parse_recipe(recipe)) == steps


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("", "'' is not a step"),
        ("halve", "'halve' is not a step; known: full, cut"),
        ("cut", "'cut'"),
        ("cut:x", "'cut:x'"),
        ("cut:0", "between 0 and 1"),
        ("cut:1.5", "between 0 and 1"),
        ("cut:-1", "between 0 and 1"),
        ("cut:nan", "between 0 and 1"),
        ("prune", "neither heads nor ffn"),
        ("prune:heads=0", "heads keeps a share"),
        ("prune:ffn=2", "ffn keeps a share"),
        ("prune:neurons=1", "'neurons' is neither"),
        ("trim:3", "takes nothing after a colon"),
        ("distil:3", "takes nothing after a colon"),
        ("cut:2+soup", "comes first"),
        ("cut:3++distil", "'' is not a step"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_step(recipe: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_recipe(recipe)
