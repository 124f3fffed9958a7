"""Great Expectations at work: rows that break an expectation go to quarantine with every reason, and Data Docs show what was checked.

The checks are stock expectations over the columns that `expectations` computes; version 1 has no custom ones worth having. Great
Expectations' own project lives in a temporary folder, and nothing but the Data Docs stays. These hold times, so they are no tracked output.
"""

import html
import logging
import tempfile
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from gptmill.core import files
from gptmill.core.errors import GptmillError
from gptmill.data.validation import data_docs
from gptmill.data.validation.expectations import DataSet, Rule

ROWS_SHOWN = 5
SECTIONS = ("expectations", "validations")  # of the Data Docs: what is expected, and what was found


@dataclass(frozen=True)
class ValidationResult:
    """What was found out about one data set. `kept` and `quarantine` are its rows as read, the latter with `reasons`, joined by "; "."""

    name: str
    kept: pd.DataFrame
    quarantine: pd.DataFrame
    checks: list[dict[str, Any]]  # for each expectation what validation.json says of it

    @property
    def success(self) -> bool:
        return all(check["success"] for check in self.checks)

    def report(self) -> dict[str, Any]:
        return {
            "kept": len(self.kept),
            "quarantined": len(self.quarantine),
            "success": self.success,
            "expectations": self.checks,
        }


def validate(data_sets: Iterable[DataSet], docs: Path) -> list[ValidationResult]:
    """Checks each data set and writes the Data Docs of all to the folder `docs`, whatever comes out. The import alone takes 5 s."""
    with tempfile.TemporaryDirectory() as project, files.atomic(docs) as site, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = _context(Path(project), site.absolute())
        found = [_examine_one(context, data_set) for data_set in data_sets]
        context.build_data_docs()
        data_docs.rewrite_site(site, [(findings.name, findings.report()) for findings in found])
    return found


def raise_for_failures(found: Iterable[ValidationResult], docs: Path) -> None:
    """Raises `GptmillError` that names each expectation that is not met, what was observed, and where to look."""
    problems = [line for findings in found if not findings.success for line in _complain(findings)]
    if problems:
        where = (
            f"{docs / 'index.html'} shows all of it. Put the data right, or change data.expectations in params.yaml."
        )
        raise GptmillError("\n".join(["the data is not what is expected of it.", *problems, where]))


def _complain(findings: ValidationResult) -> list[str]:
    failed = [check for check in findings.checks if not check["success"]]
    count = "1 expectation is" if len(failed) == 1 else f"{len(failed)} expectations are"
    problems = [f"{findings.name}: {count} not met:"]
    problems += [
        f"  {check['expectation']}: observed {data_docs.observed(check)}, allowed {check['allowed']}"
        for check in failed
    ]
    bad = findings.quarantine.head(ROWS_SHOWN)
    problems += [f"  row {row}: {reasons}" for row, reasons in zip(bad["row"], bad["reasons"], strict=True)]
    if len(findings.quarantine) > ROWS_SHOWN:
        problems.append(f"  and {len(findings.quarantine) - ROWS_SHOWN:,} more bad rows")
    return problems


def _context(project: Path, site: Path):
    # Great Expectations tells of its progress on stderr, and warns of what we can't change.
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    from gptmill.data.validation.data_docs_view import EscapedPageView

    context = gx.get_context(mode="file", project_root_dir=project)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    for name in context.get_site_names():
        context.delete_data_docs_site(name)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)}
    sections = {
        name: {"view": {"module_name": EscapedPageView.__module__, "class_name": EscapedPageView.__name__}}
        for name in SECTIONS
    }
    context.add_data_docs_site(
        "data", {"class_name": "SiteBuilder", "store_backend": store, "site_section_builders": sections}
    )
    return context


def _examine_one(context, data_set: DataSet) -> ValidationResult:
    """Two passes: the row-level expectations say which rows go, then the whole suite runs, with the table-level ones on what is kept."""
    import great_expectations as gx

    source = context.data_sources.add_pandas(data_set.name)
    batch = source.add_dataframe_asset(data_set.name).add_batch_definition_whole_dataframe("as read")
    row_rules = [rule for rule in data_set.rules if rule.reason]
    suite = gx.ExpectationSuite(name=f"{data_set.name} rows", expectations=_expectations(row_rules))
    results = batch.get_batch({"dataframe": data_set.frame}).validate(suite, result_format="COMPLETE").results
    reasons: list[list[str]] = [[] for _ in range(len(data_set.frame))]
    for rule, result in zip(row_rules, _in_order(results), strict=True):
        for index in result.result["unexpected_index_list"]:
            detail = f": {data_set.frame[rule.details][index]}" if rule.details else ""
            reasons[index].append(rule.reason + detail)

    bad = pd.Series([bool(reason) for reason in reasons])
    suite = context.suites.add(gx.ExpectationSuite(name=data_set.name, expectations=_expectations(data_set.rules)))
    definition = gx.ValidationDefinition(name=data_set.name, data=batch, suite=suite)
    parameters = {"dataframe": _with_kept(data_set, bad)}
    run_id = gx.RunIdentifier(run_name="validate")
    results = (
        context.validation_definitions.add(definition)
        .run(batch_parameters=parameters, result_format="COMPLETE", run_id=run_id)
        .results
    )
    checks = [_check(rule, result) for rule, result in zip(data_set.rules, _in_order(results), strict=True)]

    rows = data_set.frame[[*data_set.columns, *data_set.kept_columns]]
    joined = pd.Series(["; ".join(reason) for reason in reasons], dtype="str")
    return ValidationResult(
        data_set.name,
        kept=rows[~bad].reset_index(drop=True),
        quarantine=rows[data_set.columns].assign(reasons=joined)[bad].reset_index(drop=True),
        checks=checks,
    )


def _expectations(rules: list[Rule]) -> list:
    import great_expectations.expectations as stock

    # The Data Docs show a description as it is.
    return [
        getattr(stock, rule.check)(**rule.arguments, description=html.escape(rule.says), meta={"place": n})
        for n, rule in enumerate(rules)
    ]


def _in_order(results: list) -> list:
    """Great Expectations returns results column by column; the rules' order is easier to read."""
    return sorted(results, key=lambda result: result.expectation_config.meta["place"])


def _with_kept(data_set: DataSet, bad: pd.Series) -> pd.DataFrame:
    frame = data_set.frame.assign(is_kept=(~bad).astype(int), is_quarantined=bad.astype(int))
    wanted = {rule.arguments.get("column", "") for rule in data_set.rules}
    for name in sorted(column for column in wanted if column.startswith("kept_")):
        frame[name] = frame[name.removeprefix("kept_")].where(~bad)
    return frame


def _check(rule: Rule, result: Any) -> dict[str, Any]:
    if rule.reason:
        level, observed = "row", int(result.result["unexpected_count"])
    else:
        level, observed = "table", _observed(rule, result.result)
    return {
        "expectation": rule.says,
        "level": level,
        "success": bool(result.success),
        "observed": observed,
        "allowed": rule.allowed,
    }


def _observed(rule: Rule, result: dict[str, Any]) -> Any:
    if "value_set" in rule.arguments:
        there = set(rule.arguments["value_set"]) - set(result["partial_missing_list"])
        return sorted(map(str, there | set(result["partial_unexpected_list"])))
    value = result.get("observed_value")
    if value is None or pd.isna(value):
        return None
    return int(value) if float(value).is_integer() else round(float(value), 6)
