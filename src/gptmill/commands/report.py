"""`gptmill report`: the report with what lies outside the graph, as it is today."""

from gptmill.core import files, paths
from gptmill.core.terminal import say


def report() -> None:
    """Write reports/report-extended.html: the report, with the last promotion decisions and the judge's agreement with given scores."""
    from gptmill.report import external, inputs, page

    paths.require_root()
    extras = external.read()
    files.write_text(paths.EXTENDED_REPORT, page.render(inputs.read(), extras))
    agreement = "an agreement of the judge" if extras.agreement else "no agreement of the judge"
    decisions = f"promotion decisions: {len(extras.promotions)}"
    say(f"{paths.EXTENDED_REPORT}: {paths.REPORT.name} with {agreement}; {decisions}")
