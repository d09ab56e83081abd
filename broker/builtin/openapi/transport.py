"""The routes of the documents, and of the pages that show them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from broker import (
    Answer,
    Broker,
    BrokerError,
    Description,
    Overloaded,
    Request,
    Response,
    Route,
    Transport,
    Unavailable,
)
from broker.builtin.openapi import asyncapi, document
from broker.builtin.openapi.assets import Assets, NotInstalled
from broker.builtin.openapi.pages import HTML, REDOC, SWAGGER, Page
from broker.builtin.openapi.sending import Document, send

TAG = "Documentation"
KEPT = ("Cache-Control", "ETag")
BUSY = (Overloaded, Unavailable)


class FileNotServed(BrokerError):
    """The page loads no file of that name."""

    code, title, status = "not-found", "Not found", 404


class FilePath(msgspec.Struct, frozen=True):
    """Which file is meant."""

    file: Annotated[str, Meta(examples=["page.js"])]
    """Its name."""


class DocumentTransport(Transport):
    """What can be asked of this broker, for programs and for people.

    Everybody may read it: it tells what is in the code, and no names and no secrets.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._assets = Assets()
        self._made = _Made()

    async def open(self) -> None:
        """Look for the files of the pages."""
        await self._assets.find()

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        return (
            Route("GET", "/openapi.json", self.openapi, described=OPENAPI),
            Route("GET", "/asyncapi.json", self.asyncapi, described=ASYNCAPI),
            *PageRoutes(SWAGGER, self._assets).routes(),
            *PageRoutes(REDOC, self._assets).routes(),
        )

    async def openapi(self, request: Request) -> Response:
        """Describe every route, for programs: OpenAPI 3.1."""
        return send(request, await self._made.get("openapi", self._write_openapi))

    async def asyncapi(self, request: Request) -> Response:
        """Describe what streams tell, for programs: AsyncAPI 3.0."""
        return send(request, await self._made.get("asyncapi", self._write_asyncapi))

    def _write_openapi(self) -> Document:
        return _written(document.write_document(self._broker.routes, self._broker.info))

    def _write_asyncapi(self) -> Document:
        return _written(asyncapi.write_events(self._broker.routes, self._broker.info))


class _Made:
    """Documents, each made when somebody asks for it first: in a thread, for that takes a while."""

    def __init__(self) -> None:
        self._documents: dict[str, Document] = {}

    async def get(self, name: str, make: Callable[[], Document]) -> Document:
        """Return a document."""
        if name not in self._documents:
            self._documents[name] = await asyncio.to_thread(make)
        return self._documents[name]


class PageRoutes:
    """A page, and the files that it loads."""

    def __init__(self, page: Page, assets: Assets) -> None:
        self._page = page
        self._assets = assets
        self._made = _Made()

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        name = self._page.name
        about = Description(
            name=f"show_{name}",
            tag=TAG,
            needs=None,
            answers=(Answer(bytes, "<!doctype html>", HTML, headers=KEPT),),
            errors=(NotInstalled, *BUSY),
        )
        about_files = Description(
            name=f"get_{name}_file",
            tag=TAG,
            needs=None,
            params=FilePath,
            answers=tuple(
                Answer(bytes, "/* … */", media_type, headers=KEPT)
                for media_type in sorted({file.media_type for file in self._page.files.values()})
            ),
            errors=(NotInstalled, FileNotServed, *BUSY),
        )
        return (
            Route("GET", f"/{name}", self.show, described=about),
            Route("GET", f"/{name}/{{file}}", self.load, described=about_files),
        )

    async def show(self, request: Request) -> Response:
        """Show this documentation to people."""
        self._assets.directory  # noqa: B018  # raises, if they are missing
        policy = ("content-security-policy", self._page.policy)
        return send(request, self._page.html, (policy, ("referrer-policy", "no-referrer")))

    async def load(self, request: Request) -> Response:
        """Return a file that the page loads."""
        assets = self._assets.directory
        name = request.params["file"]
        file = self._page.files.get(name)
        if file is None:
            files = ", ".join(self._page.files)
            raise FileNotServed(f"/{self._page.name} loads no such file, but {files}")
        return send(request, await self._made.get(name, lambda: file.read(assets)))


OPENAPI, ASYNCAPI = (
    Description(
        name=name,
        tag=TAG,
        needs=None,
        answers=(Answer(dict[str, Any], {kind: version}, headers=KEPT),),
        errors=BUSY,
    )
    for name, kind, version in (
        ("get_openapi", "openapi", document.VERSION),
        ("get_asyncapi", "asyncapi", asyncapi.VERSION),
    )
)


def _written(document: dict[str, Any]) -> Document:
    return Document(body=msgspec.json.encode(document), media_type="application/json")
