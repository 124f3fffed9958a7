"""`gptmill report`: the report, extended by results from outside the graph."""

import typer

from gptmill.core import paths
from gptmill.core.terminal import say

app = typer.Typer()


@app.command()
def report() -> None:
    """Write reports/report-extended.html: the report, plus the last promotion decisions and the judge's agreement."""
    from gptmill.core import files
    from gptmill.report import external, inputs, page

    paths.require_root()
    extras = external.read()
    files.write_text(paths.EXTENDED_REPORT, page.render(inputs.read(), extras))
    agreement = "an agreement of the judge" if extras.agreement else "no agreement of the judge"
    decisions = f"promotion decisions: {len(extras.promotions)}"
    say(f"{paths.EXTENDED_REPORT}: {paths.REPORT.name} with {agreement}; {decisions}")
