import html
import re
from xml.etree import ElementTree

import matplotlib
import pytest

from gptmill.evaluation import calibration, precision_recall
from gptmill.report import charts, quality_charts, svg
from gptmill.report.inputs import Point
from gptmill.report.lengths import Lengths


def curve(*losses: tuple[float, float]) -> list[Point]:
    return [
        Point(
            step=10 * i,
            epoch=i,
            train_loss=train,
            validation_loss=validation,
            train_accuracy=0.5,
            validation_accuracy=0.9,
        )
        for i, (train, validation) in enumerate(losses, 1)
    ]


def labels(picture: str) -> dict[str, float]:
    """What is written in a chart, and how far down."""
    return {text: float(y) for y, text in re.findall(r'<text[^>]*? y="([-\d.]+)"[^>]*>([^<]+)</text>', picture)}


def test_a_chart_is_drawn_in_the_colours_of_the_page():
    picture = charts.loss(curve((3, 3), (1, 2)), "a", "A title")
    assert "var(--series-1)" in picture
    assert not set(re.findall(r"#[0-9a-f]{6}\b", picture)) & set(svg.COLOURS)
    assert "rgb(" not in picture and "#000000" not in picture and "#ffffff" not in picture


def test_a_chart_is_well_formed_and_says_what_it_shows():
    tree = ElementTree.fromstring(charts.scores([0, 5, 99, 100, 100], "a", "Scores <of> 5"))
    assert tree.attrib["role"] == "img"
    assert tree.find("title").text == "Scores <of> 5"


def test_two_charts_share_no_id():
    ids = [set(re.findall(r'\bid="([^"]+)"', charts.loss(curve((3, 3)), name, ""))) for name in ("a", "b")]
    assert ids[0] and not ids[0] & ids[1]


def test_every_reference_within_a_chart_leads_somewhere():
    picture = charts.loss(curve((3, 3), (1, 2)), "a", "", ("trigram", 2.5))
    ids = set(re.findall(r'\bid="([^"]+)"', picture))
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', picture)) <= ids
    assert "xlink" not in picture


def test_labels_stand_at_the_ends_of_their_lines_and_do_not_touch():
    down = labels(charts.loss(curve((9, 9), (1, 8)), "a", "", ("trigram", 8.01)))
    assert down["train"] > down["validation"]
    places = sorted(down[label] for label in ("train", "validation", "trigram"))
    assert all(below - above >= svg.LINE - 1 for above, below in zip(places, places[1:], strict=False))
    assert down["train"] - down["validation"] > 100


def test_a_matplotlibrc_changes_nothing():
    plain = charts.accuracy(curve((3, 3), (1, 2)), "a", "")
    with matplotlib.rc_context({"axes.facecolor": "red", "font.size": 30, "svg.fonttype": "path"}):
        assert charts.accuracy(curve((3, 3), (1, 2)), "a", "") == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_a_single_evaluation_and_no_score_at_all_can_be_drawn():
    assert "<svg" in charts.loss(curve((3, 3)), "a", "")
    assert "<svg" in charts.scores([], "a", "")


def test_what_is_cut_has_a_colour_of_its_own_and_the_cut_its_name():
    bars = Lengths([*range(1, 101)] * 3).bars(50)
    picture = charts.lengths(bars, ("max_length 50", 50), "a", "")
    assert picture.count("fill: var(--series-2)") == picture.count("fill: var(--series-1)") == len(bars) / 2
    assert "max_length 50" in picture


def test_counts_below_a_reliability_diagram_are_left_out_where_they_would_touch():
    few = quality_charts.reliability(calibration.bins([0.55, 0.95], [True, True], 10), "a", "")
    many = quality_charts.reliability(calibration.bins([n / 100 for n in range(100)] * 99, [True] * 9900, 30), "a", "")
    assert few.count(">1</text>") == 2
    assert ">330</text>" not in many and "<svg" in many


def test_one_curve_has_its_guess_beside_it_and_several_have_none():
    curves = [precision_recall.curve(label, [0.9, 0.2, 0.1], [True, False, True]) for label in "ab"]
    assert "guessing" in quality_charts.precision_recall(curves[:1], "a", "", (0.5, 1.0))
    assert "guessing" not in quality_charts.precision_recall(curves, "a", "")


def test_a_cut_beyond_the_longest_text_is_not_drawn():
    assert "max_length" not in charts.lengths(Lengths([1, 2, 3]).bars(50), ("max_length 50", 50), "a", "")


@pytest.mark.parametrize(
    "texts", [range(1, 10), range(1, 3000), [1] * 500 + [10**8], [2**n for n in range(28)] * 9, [9999] * 9 + [3] * 4]
)
def test_labels_below_a_histogram_do_not_touch_and_stay_within_it(texts):
    picture = charts.lengths(Lengths(texts).bars(64), ("max_length 64", 64), "a", "")
    drawn = re.findall(r'<text[^>]*? x="([-\d.]+)" y="([-\d.]+)"[^>]*>([^<]+)</text>', picture)
    line = min(float(y) for _, y, _ in drawn if float(y) > svg.HEIGHT - 30)
    # A character of 12 pixels' height is about 7 wide.
    below = [(float(x), 3.5 * len(html.unescape(label))) for x, y, label in drawn if float(y) == line]
    assert len(below) >= 3
    for (left, half), (right, other) in zip(below, below[1:], strict=False):
        assert left + half < right - other
    assert sum(below[-1]) <= svg.WIDTH
