"""Great Expectations' pages with text of the data escaped. Imported late: Great Expectations takes 5 s to import."""

import html
from typing import Any

from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import pass_context


class EscapedPageView(DefaultJinjaPageView):
    """The usual page, in which values of the data are text, not markup."""

    @pass_context
    def render_content_block(self, jinja_context: Any, content_block: Any, *args: Any, **options: Any) -> Any:
        """Great Expectations' own markup is in blocks that name a template; a bare string is a value of the data."""
        if isinstance(content_block, str):
            return html.escape(content_block)
        return super().render_content_block(jinja_context, content_block, *args, **options)
