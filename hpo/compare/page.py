"""page: a comparison as one HTML page, without a script and without a request."""

from collections.abc import Sequence

from hpo.compare.answers import SEARCHES, may_words, next_commands
from hpo.compare.comparison import compare
from hpo.compare.figures import differences_figure, searches_figure
from hpo.compare.tables import costs_table, front_tables, settings_table, values_table
from hpo.layout import StudyFolder


def page(folders: Sequence[StudyFolder]) -> str:
    """Return a self-contained page that says what `hpo compare` says of the studies.

    Raises:
        UsageError: see `hpo.compare.compare`.
        StudyError: see `hpo.compare.compare`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    done = compare(folders)
    environment = Environment(
        loader=PackageLoader("hpo.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    labels = done.labels
    tables = [values_table(done), costs_table(done), *front_tables(done)]
    differing = [
        settings_table("What differs in the study files?", done.settings, labels),
        settings_table("What differs in the environments?", done.packages, labels),
    ]
    return environment.get_template("page.html").render(
        done=done,
        may=may_words(done),
        searches=SEARCHES,
        commands=next_commands(done.verdicts),
        tables=tables,
        differing=[table for table in differing if table.rows],
        figures=[svg for svg in (differences_figure(done), searches_figure(done)) if svg],
    )
