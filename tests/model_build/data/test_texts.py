"""One text: mended, without HTML, and its form."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_build.data.texts import mend, normalize, shown, strip_html


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Great film!", "great film"),
        ("  spaces\u00a0 between ", "spaces between"),
        ("\ufb01lm", "film"),
        ("STRASSE", "straße"),
        ("full \uff57\uff49\uff44\uff54\uff48", "full width"),
        ("zero\u200bwidth", "zerowidth"),
        ("cafe\u0301", "caf\u00e9"),
        ("dash-ed", "dashed"),
        ("προΐσταμαι", "ΠΡΟΪ́ΣΤΑΜΑΙ"),
    ],
)
def test_what_a_reader_would_call_the_same_is_the_same(one: str, other: str) -> None:
    assert normalize(one) == normalize(other)


@pytest.mark.parametrize(
    ("one", "other"), [(":-)", ":-("), ("good", "not good"), ("10", "100"), ("\U0001f600", "\U0001f621")]
)
def test_what_means_something_else_is_not_the_same(one: str, other: str) -> None:
    assert normalize(one) != normalize(other)


@given(st.text(max_size=20))
def test_only_an_empty_text_has_an_empty_form(text: str) -> None:
    assert bool(normalize(text)) == bool(text.strip())


@given(st.text(max_size=30))
def test_a_mended_text_has_no_nul_and_no_space_around(text: str) -> None:
    assert mend(text) == mend(text).strip()
    assert "\x00" not in mend(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<p>One.</p><p>Two &amp; three</p>", "One.  Two & three"),
        ("<b>bo</b>ld", "bold"),
        ("a<br/>b<BR>c", "a b c"),
        ("<script>var x = '<p>';</script>seen<style>p {}</style>", "seen"),
        (f"<script>{'x<y>' * 3_000}</script>seen", "seen"),
        ("<!-- unseen -->seen", "seen"),
        ("caf&eacute; &#233; &#xe9;", "café é é"),
        ('<a href="https://example.org/?a=1&b=2">link</a>', "link"),
        (f"{'<i>x</i>' * 3_000}", "x" * 3_000),
        ("<br>unfinished <b &amp;", "unfinished <b &"),
    ],
)
def test_html_is_taken_out_and_entities_are_resolved(text: str, plain: str) -> None:
    assert strip_html(text) == (plain, True)


@pytest.mark.parametrize(
    "text",
    ["1 < 2 & 3 > 2", "Dear <name>, AT&T; R&D", "a <3 b", "<user@example.org>", "<![x", "</", "&", "<b", "<<<>>>"],
)
def test_what_only_looks_like_html_stays(text: str) -> None:
    assert strip_html(text) == (text, False)


@pytest.mark.parametrize("part", ["<a ", "<!--", "<a b='", "</", "<?", "<!", "<", "&#", "<![", "<script>"])
def test_no_text_keeps_the_parser_busy(part: str) -> None:
    """Fed whole, the first of these takes minutes."""
    started = time.process_time()
    strip_html(part * 20_000)
    strip_html((part * 1_000 + "<b>") * 20)
    assert time.process_time() - started < 2


@given(st.text(st.sampled_from("<>/!-&;abp #'\"=[?")))
def test_any_markup_is_survived(text: str) -> None:
    plain, found = strip_html(text)
    assert found or plain == text


@pytest.mark.parametrize("value", ["two\nlines", "\u202e right to left", "\ud800", "\x00", "x" * 1_000, 3])
def test_what_is_shown_is_one_short_printable_line(value: object) -> None:
    assert shown(value).isprintable()
    assert len(shown(value)) <= 70
