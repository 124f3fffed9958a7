"""Runs Great Expectations: rows that fail an expectation go to quarantine with all reasons, and Data Docs show the
checks.

Its project is in a temporary folder, of which only the Data Docs are saved. These hold times, so they are untracked.
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
SECTIONS = ("expectations", "validations")  # of the Data Docs: expectations and results


@dataclass(frozen=True)
class ValidationResult:
    """`clean` and `quarantine` are rows of one data set as read, the latter with `reasons`, joined by "; "."""

    name: str
    clean: pd.DataFrame
    quarantine: pd.DataFrame
    checks: list[dict[str, Any]]  # entries of validation.json, one per expectation

    @property
    def success(self) -> bool:
        return all(check["success"] for check in self.checks)

    def report(self) -> dict[str, Any]:
        rows = {"kept": len(self.clean), "quarantined": len(self.quarantine)}
        return {**rows, "success": self.success, "expectations": self.checks}


def validate(data_sets: Iterable[DataSet], docs: Path) -> list[ValidationResult]:
    """Checks each data set and writes the Data Docs of all to the folder `docs`. The import alone takes 5 s."""
    with tempfile.TemporaryDirectory() as project, files.atomic(docs) as site, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = _context(Path(project), site.absolute())
        results = [_validate_one(context, data_set) for data_set in data_sets]
        context.build_data_docs()
        data_docs.rewrite_site(site, [(result.name, result.report()) for result in results])
    return results


def raise_for_failures(results: Iterable[ValidationResult], docs: Path) -> None:
    """Raises `GptmillError` with each failed expectation, what was observed, and where to look."""
    problems = [line for result in results if not result.success for line in _problem_lines(result)]
    if problems:
        where = f"{docs / 'index.html'} shows everything. Fix the data, or change data.expectations in params.yaml."
        raise GptmillError("\n".join(["the data does not meet its expectations.", *problems, where]))


def _problem_lines(result: ValidationResult) -> list[str]:
    failed = [check for check in result.checks if not check["success"]]
    count = "1 expectation is" if len(failed) == 1 else f"{len(failed)} expectations are"
    problems = [f"{result.name}: {count} not met:"]
    problems += [
        f"  {check['expectation']}: observed {data_docs.observed(check)}, allowed {check['allowed']}"
        for check in failed
    ]
    bad = result.quarantine.head(ROWS_SHOWN)
    problems += [f"  row {row}: {reasons}" for row, reasons in zip(bad["row"], bad["reasons"], strict=True)]
    if (more := len(result.quarantine) - ROWS_SHOWN) > 0:
        problems.append(f"  and {more:,} more bad rows")
    return problems


def _context(project: Path, site: Path):
    # Great Expectations logs its progress to stderr, with warnings that we can't act on.
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    from gptmill.data.validation.data_docs_view import EscapedPageView

    context = gx.get_context(mode="file", project_root_dir=project)
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    for name in context.get_site_names():
        context.delete_data_docs_site(name)
    store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(site)}
    view = {"module_name": EscapedPageView.__module__, "class_name": EscapedPageView.__name__}
    sections = {name: {"view": view} for name in SECTIONS}
    site_config = {"class_name": "SiteBuilder", "store_backend": store, "site_section_builders": sections}
    context.add_data_docs_site("data", site_config)
    return context


def _validate_one(context, data_set: DataSet) -> ValidationResult:
    """Two passes: row-level expectations select rows for quarantine, then all run, table-level ones on valid rows."""
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
    options = {"result_format": "COMPLETE", "run_id": gx.RunIdentifier(run_name="validate")}
    definition = context.validation_definitions.add(definition)
    results = definition.run(batch_parameters={"dataframe": _with_kept(data_set, bad)}, **options).results
    checks = [_check(rule, result) for rule, result in zip(data_set.rules, _in_order(results), strict=True)]

    rows = data_set.frame[[*data_set.columns, *data_set.kept_columns]]
    joined = pd.Series(["; ".join(reason) for reason in reasons], dtype="str")
    return ValidationResult(
        data_set.name,
        clean=rows[~bad].reset_index(drop=True),
        quarantine=rows[data_set.columns].assign(reasons=joined)[bad].reset_index(drop=True),
        checks=checks,
    )


def _expectations(rules: list[Rule]) -> list:
    import great_expectations.expectations as stock

    # The Data Docs do not escape descriptions.
    return [
        getattr(stock, rule.check)(**rule.arguments, description=html.escape(rule.description), meta={"place": n})
        for n, rule in enumerate(rules)
    ]


def _in_order(results: list) -> list:
    """Great Expectations returns results by column; the order of the rules is easier to read."""
    return sorted(results, key=lambda result: result.expectation_config.meta["place"])


def _with_kept(data_set: DataSet, bad: pd.Series) -> pd.DataFrame:
    frame = data_set.frame.assign(is_kept=(~bad).astype(int), is_quarantined=bad.astype(int))
    columns = {rule.arguments.get("column", "") for rule in data_set.rules}
    for name in sorted(column for column in columns if column.startswith("kept_")):
        frame[name] = frame[name.removeprefix("kept_")].where(~bad)
    return frame


def _check(rule: Rule, result: Any) -> dict[str, Any]:
    if rule.reason:
        level, observed = "row", int(result.result["unexpected_count"])
    else:
        level, observed = "table", _observed(rule, result.result)
    check = {"expectation": rule.description, "level": level, "success": bool(result.success)}
    return {**check, "observed": observed, "allowed": rule.allowed}


def _observed(rule: Rule, result: dict[str, Any]) -> Any:
    if "value_set" in rule.arguments:
        present = set(rule.arguments["value_set"]) - set(result["partial_missing_list"])
        return sorted(map(str, present | set(result["partial_unexpected_list"])))
    value = result.get("observed_value")
    if value is None or pd.isna(value):
        return None
    return int(value) if float(value).is_integer() else round(float(value), 6)
