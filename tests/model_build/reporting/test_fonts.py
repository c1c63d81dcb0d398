"""Fonts for any script, found on the machine that runs this."""

from model_build.reporting.fonts import DEFAULT, families_for


def test_latin_needs_nothing_but_the_default() -> None:
    assert families_for(frozenset("negative, positive; Größe")) == (DEFAULT,)


def test_letters_that_no_font_has_are_left_out() -> None:
    assert families_for(frozenset("a\ue123")) == (DEFAULT,)


def test_the_default_comes_first_and_no_font_twice() -> None:
    families = families_for(frozenset("a好くかह"))
    assert families[0] == DEFAULT
    assert len(set(families)) == len(families)
