"""The report's page: Evidently's own, under a heading that says what was compared."""

from html import escape

from driftline.errors import ReportError
from driftline.report.result import DriftReport, describe

# No colours but the verdict's: the others are those of Evidently's page, which is dark where the reader likes it.
STYLE = """
.driftline { box-sizing: border-box; padding: 32px 24px 8px;
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
.driftline h1 { margin: 0 0 16px; font-size: 24px; font-weight: 600; line-height: 1.3; }
.driftline p { margin: 0 0 16px; }
.driftline .verdict { padding: 12px 16px; border-left: 6px solid; border-radius: 4px; font-size: 17px; }
.driftline .drift { border-color: #b42318; background: #fdeceb; color: #7a1610; }
.driftline .no-drift { border-color: #1b7f4b; background: #e9f6ef; color: #0f4f2e; }
.driftline dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 24px; margin: 0 0 16px; }
.driftline dt { font-weight: 600; }
.driftline dd { margin: 0; overflow-wrap: anywhere; }
.driftline ul { margin: 0; padding-left: 18px; }
@media (max-width: 600px) { .driftline dl { grid-template-columns: 1fr; } .driftline dd { margin-bottom: 8px; } }
"""


def render_page(report: DriftReport) -> str:
    """Returns one HTML document that needs nothing else, neither files nor a network.

    Raises:
        ReportError: Evidently's page is not what it was when this was written.
    """
    before, head, rest = report.comparison.html.partition("<head>")
    style, body, after = rest.partition("<body>")
    if not (head and body):
        raise ReportError("Evidently's page has no place for a heading")
    title = f"{'Drift' if report.drift else 'No drift'} - Driftline report"
    return f"{before}{head}\n<title>{title}</title>\n<style>{STYLE}</style>{style}{body}\n{_heading(report)}{after}"


def _heading(report: DriftReport) -> str:
    facts = {
        "Reference": escape(describe(report.windows.reference)),
        "Current": escape(describe(report.windows.current)),
        "Drifted": escape(", ".join(report.drifted) or "none"),
        "Not compared": _listed([f"{it.name}: {it.reason}" for it in report.isolated]),
        "Notes": _listed(list(report.notes)),
        "Made": f"{report.created_at:%Y-%m-%d %H:%M} UTC, with Evidently {report.comparison.versions['evidently']}",
    }
    rows = "\n".join(f"<dt>{name}</dt><dd>{text}</dd>" for name, text in facts.items() if text)
    return (
        f'<header class="driftline">\n<h1>Drift report</h1>\n'
        f'<p class="verdict {"drift" if report.drift else "no-drift"}">{escape(report.verdict)}</p>\n'
        f"<dl>\n{rows}\n</dl>\n</header>\n"
    )


def _listed(sentences: list[str]) -> str:
    if not sentences:
        return ""
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"
