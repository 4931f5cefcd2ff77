"""report.html: a study as one page that opens offline, for a reader who is handed nothing else.

    page.py              write_report(folder): reads the study, puts the page together
    material.py          what the sections are drawn from, each part computed once
    section.py           what a section is: what one sees, a chart's data, how sure it is
    summary.py, progress.py, front.py, rungs.py, importance.py, hyperparameters.py, trials.py, workers.py, settings.py
                         the sections, each a function of the material
    pictures.py          the main drawings as PNGs
    page.html, page.css, *.js
                         how they are laid out and drawn; echarts.min.js is Apache ECharts 6.1.0 (Apache License 2.0,
                         echarts.license/), unchanged

Everything that a study says (names, values, errors) may come from strangers. Text gets into the page escaped, by Jinja;
data as JSON without "<"; scripts put it into text nodes and drawings alone. The page's content security policy names
the hashes of its own scripts: nothing else would run, and nothing is ever loaded or sent.
"""

from hpo_pipeline.report.page.page import Report, write_report

__all__ = ["Report", "write_report"]
