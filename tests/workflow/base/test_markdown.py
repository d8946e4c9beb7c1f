"""Markdown: nothing that a text holds is obeyed, and tables have a rule for each column."""

from workflow.base.markdown import escaped, head, row


def test_text_is_one_line_without_markup():
    assert escaped("a|b\n*c* <d>") == r"a\|b \*c\* &lt;d&gt;"


def test_a_table_opens_with_titles_and_a_rule():
    assert head(["a", "b", "c"], numbers=1) == ["| a | b | c |", "| --- | --- | ---: |"]
    assert head(["a"]) == ["| a |", "| --- |"]
    assert row([]) == "|  |"
