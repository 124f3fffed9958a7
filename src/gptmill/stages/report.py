"""report: one page with the numbers, the curves, answers and mistakes."""

from gptmill.config.schema import Params
from gptmill.core import files, paths


def run(params: Params) -> None:
    from gptmill.report import inputs, page

    files.write_text(paths.REPORT, page.render(inputs.read()))
    print(f"report: {paths.REPORT}, {paths.REPORT.stat().st_size / 1000:,.0f} kB; it needs no network and no server")
