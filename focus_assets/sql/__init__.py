"""The lake as SQL views: for people and for programs that read DuckDB files.

What belongs here: which views there are, the DuckDB file, and queries over them. What does not: how usage is
metered with DuckDB (``cloudevents``).
"""

from focus_assets.sql.query import Answer, SqlProblem, query
from focus_assets.sql.view_file import create_views
from focus_assets.sql.views import View, views

__all__ = ["Answer", "SqlProblem", "View", "create_views", "query", "views"]
