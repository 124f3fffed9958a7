"""Self-contained Data Docs: Great Expectations' pages without scripts, style sheets and images from third-party
servers.

The original pages ask eight servers for Bootstrap, jQuery, Vega and a logo whose address carries an id of the project;
offline, the index is blank. Here the pages keep their content and get a short style sheet, and the index is rewritten.
Text of the data is escaped, and the content security policy blocks all scripts.
"""

import html
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FOREIGN = re.compile(
    r"<style\b.*?</style>|<script\b.*?</script>|<link\b[^>]*>|<img\b[^>]*>|<footer\b.*?</footer>",
    re.DOTALL | re.IGNORECASE,
)
POLICY = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)
STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #1a8f4a; --bad: #d33a2c; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1150px; padding: 1rem; }
h4, h5, h6, p { margin: .3rem 0; } h4 { font-size: 1.3rem; } h5 { font-size: 1.05rem; } h6, .h6 { font-size: .9rem; font-weight: 600; }
a { color: #2b7de1; } ol.breadcrumb { list-style: none; padding: 0; display: flex; gap: .6rem; }
.breadcrumb-item + li::before { content: "/ "; }
nav.navbar { height: auto !important; } .nav { list-style: none; padding: 0; margin: .5rem; } .nav a { text-decoration: none; }
.container-fluid > .row { display: flex; gap: 2rem; align-items: flex-start; }
.col-md-2 { flex: 0 0 15rem; } .col-md-10 { flex: 1; min-width: 0; }
.sticky { position: sticky; top: 1rem; } .ge-section .row { display: block; } .ge-section { margin-bottom: 1rem !important; }
.sticky > .card:not(.d-md-block), a[data-toggle=collapse], .modal, button { display: none; }
.alert-secondary { border-left: 4px solid var(--line); padding-left: .8rem; } .card-body { height: auto !important; }
table { border-collapse: collapse; margin: .5rem 0; width: 100%; } th { text-align: left; white-space: nowrap; }
td, th { border-bottom: 1px solid var(--line); padding: .35rem .7rem; vertical-align: top; overflow-wrap: anywhere; }
td:first-child { min-width: 3rem; }
.fas { font-style: normal; } .text-success, .good { color: var(--good) !important; } .text-danger, .bad { color: var(--bad) !important; }
.fa-check-circle::before { content: "\\2714"; } .fa-times::before, .fa-times-circle::before { content: "\\2718"; }
.fa-exclamation-triangle::before { content: "\\26a0"; } code, pre { white-space: pre-wrap; } .number { text-align: right; }
@media (max-width: 640px) {
  .container-fluid > .row { display: block; } .sticky { position: static; }
  table { display: block; overflow-x: auto; } td, th { overflow-wrap: break-word; padding: .3rem .4rem; }
}
"""


def rewrite_site(site: Path, reports: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Cleans Great Expectations' pages in `site`, moves results to `<suite>.html`, and writes `index.html`."""
    for page in site.glob("validations/*/*/*/*.html"):
        suite = page.relative_to(site).parts[1]
        text = page.read_text(encoding="utf-8").replace("../../../../", "")
        (site / f"{suite}.html").write_text(_clean(text, suite), encoding="utf-8")
    for page in site.glob("expectations/*.html"):
        page.write_text(_clean(page.read_text(encoding="utf-8"), f"{page.stem}: expectations"), encoding="utf-8")
    for folder in ("validations", "static"):
        shutil.rmtree(site / folder, ignore_errors=True)
    (site / "index.html").write_text(_index(reports), encoding="utf-8")


def observed(check: dict[str, Any]) -> str:
    """The observed value as text: of row-level expectations, the number of failed rows."""
    value = check["observed"]
    if check["level"] == "row":
        return "1 bad row" if value == 1 else f"{value:,} bad rows"
    if value is None:
        return "nothing to measure"
    return (", ".join(value) or "none") if isinstance(value, list) else f"{value:,}"


def _clean(page: str, title: str) -> str:
    page = TITLE.sub("", FOREIGN.sub("", page)).replace("<head>", f"<head>\n{POLICY}", 1)
    return page.replace("</head>", f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>", 1)


def _index(reports: Iterable[tuple[str, dict[str, Any]]]) -> str:
    reports = list(reports)
    rows = []
    for name, report in reports:
        met = sum(check["success"] for check in report["expectations"])
        status = '<span class="good">✔ passed</span>' if report["success"] else '<span class="bad">✘ failed</span>'
        rows.append(
            f'<tr><td><a href="{name}.html">{name}</a></td><td>{status}</td><td class="number">{met} of {len(report["expectations"])}</td>'
            f'<td class="number">{report["kept"]:,}</td><td class="number">{report["quarantined"]:,}</td>'
            f'<td><a href="expectations/{name}.html">what is expected</a></td></tr>'
        )
    sections = "".join(_section(name, report) for name, report in reports)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>{POLICY}<meta charset="UTF-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Data Docs</title>
<style>{STYLE}</style></head>
<body>
<h4>Data Docs</h4>
<p>What Great Expectations found in the three data sets.
Rows that break a row-level expectation are in data/quarantine, with their reasons.</p>
<table><thead><tr><th>Data set</th><th>Status</th><th class="number">Expectations met</th><th class="number">Kept</th>
<th class="number">Quarantined</th><th>Suite</th></tr></thead>
<tbody>{"".join(rows)}</tbody></table>
{sections}
</body></html>
"""


def _section(name: str, report: dict[str, Any]) -> str:
    rows = []
    for check in report["expectations"]:
        mark = '<span class="good">✔</span>' if check["success"] else '<span class="bad">✘</span>'
        cells = [check["expectation"], observed(check), check["allowed"]]
        rows.append(f"<tr><td>{mark}</td>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "<thead><tr><th></th><th>Expectation</th><th>Observed</th><th>Allowed</th></tr></thead>"
    return f"<h5>{name}</h5><table>{head}<tbody>{''.join(rows)}</tbody></table>"
