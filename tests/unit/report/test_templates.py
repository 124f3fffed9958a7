from gptmill.report import templates


def test_control_characters_are_shown_and_not_obeyed():
    assert templates.visible("a\x00b\x1b[31m\x7f\x85") == "a␀b␛[31m⟨U+007F⟩⟨U+0085⟩"
    assert templates.visible("left \u202eright\ud800") == "left ⟨U+202E⟩right⟨U+D800⟩"
    assert templates.visible("one\r\ntwo\tthree\rfour") == "one\ntwo\tthree␍four"


def test_an_endless_text_is_cut_and_says_so():
    assert templates.visible("x" * 3000) == "x" * 1200 + " … (1,800 more characters)"


def test_nobody_is_wholly_sure():
    assert templates.confidence(1.0) == "> 99.99%"
    assert templates.confidence(0.98765) == "98.77%"


def test_numbers_have_the_digits_that_matter():
    assert [templates.number(value) for value in (7259008, 747.734, 24.05, 6.617, 0.000258335, 0.0)] == [
        "7,259,008", "747.7", "24.05", "6.617", "0.000258", "0"
    ]  # fmt: skip


def test_whatever_an_expectation_observed_can_be_shown():
    assert [templates.observed(value) for value in (None, ["ham", 3], 20479, 0.5, "x")] == [
        "nothing",
        "ham, 3",
        "20,479",
        "0.5",
        "x",
    ]


def test_a_text_of_many_lines_is_cut_and_says_so():
    assert templates.visible("a\n" * 100) == "a\n" * 29 + "a … (141 more characters)"
    assert templates.visible("a\n" * 29 + "a") == "a\n" * 29 + "a"


def test_what_can_not_be_seen_is_shown_by_its_number():
    assert templates.visible("a\u200bb\ufeffc\U000e0041") == "a⟨U+200B⟩b⟨U+FEFF⟩c⟨U+E0041⟩"
    assert (
        templates.visible("\N{WOMAN}\u200d\N{PERSONAL COMPUTER} e\u0301")
        == "\N{WOMAN}\u200d\N{PERSONAL COMPUTER} e\u0301"
    )
