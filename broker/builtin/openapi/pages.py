"""The pages that show the documents; all that they load is of this broker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from broker.builtin.openapi.sending import Document

HTML, SCRIPT, STYLE = (f"text/{kind}; charset=utf-8" for kind in ("html", "javascript", "css"))

_HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Replika Broker</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{name}/page.css">
</head>
<body>
<div id="page"></div>
{scripts}
</body>
</html>
"""

_SWAGGER = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  validatorUrl: null,
});
"""

_REDOC = """import { init } from "./redoc.js";

init("openapi.json", { disableTelemetry: true }, document.getElementById("page"));
"""


class File(msgspec.Struct, frozen=True):
    """What a page loads: a text of ours, or a file of the package."""

    media_type: str
    text: str = ""
    asset: str = ""
    foreign: str = ""
    """Where the asset would load pictures from, which are left out."""

    def read(self, assets: Path) -> Document:
        """Return it; `assets` are where the files of the package are. May block."""
        body = self.text.encode()
        if self.asset:
            body = (assets / self.asset).read_bytes()
        if self.foreign:
            body = body.replace(self.foreign.encode(), b"data:,")
        return Document(body=body, media_type=self.media_type)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page, and the files that it loads."""

    name: str
    scripts: str
    """The HTML that runs its files."""
    policy: str
    """What it may load and do (CSP, level 3)."""
    files: Mapping[str, File]

    @property
    def html(self) -> Document:
        """The page itself."""
        return Document(
            body=_HTML.format(name=self.name, scripts=self.scripts).encode(), media_type=HTML
        )


POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'{styles}; "
    "img-src 'self' data:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""The hash of no text: Redoc makes style elements without any, and adds rules by the CSSOM, of
which the policy says nothing. Nobody can write a rule into one that has to stay empty."""

SWAGGER = Page(
    name="docs",
    scripts='<script src="docs/swagger-ui.js"></script>\n<script src="docs/page.js"></script>',
    policy=POLICY.format(styles=""),
    files={
        "page.js": File(SCRIPT, _SWAGGER),
        "page.css": File(STYLE, asset="swagger_style.css"),
        "swagger-ui.js": File(SCRIPT, asset="swagger_bundle.js"),
    },
)
REDOC = Page(
    name="redoc",
    scripts='<script type="module" src="redoc/page.js"></script>',
    policy=POLICY.format(styles=f" {EMPTY}"),
    files={
        "page.js": File(SCRIPT, _REDOC),
        "page.css": File(STYLE, "body { margin: 0; }\n"),
        "redoc.js": File(SCRIPT, asset="redoc.js", foreign="https://cdn.redoc.ly/redoc/"),
    },
)
