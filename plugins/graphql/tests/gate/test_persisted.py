"""Documents of a folder, which clients name by their hash."""

import hashlib
import json

import pytest
from graphs import graph

from broker import ConfigError
from broker.assembly import assemble
from broker.config import make_config

QUERY = "{ me { subject } }"
DIGEST = hashlib.sha256(QUERY.encode()).hexdigest()
UNKNOWN = "0" * 64


def persisted(digest):
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}}}


async def answer(one, body):
    return json.loads((await one.post(body)).body)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "me.graphql").write_text(QUERY)
    (folder / "notes.txt").write_text("not a document")
    return folder


@pytest.mark.parametrize("body", [{"documentId": f"sha256:{DIGEST}"}, persisted(DIGEST)])
async def test_a_document_of_the_folder_is_executed_by_its_hash(tmp_path, folder, body):
    async with graph(tmp_path, documents="documents") as one:
        assert await answer(one, body) == {"data": {"me": {"subject": "somebody"}}}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"documentId": f"sha256:{UNKNOWN}"}, f'there is no document "sha256:{UNKNOWN}"'),
        (persisted(UNKNOWN), "PersistedQueryNotFound"),
    ],
)
async def test_a_hash_that_is_not_known_is_refused(tmp_path, folder, body, message):
    async with graph(tmp_path, documents=str(folder)) as one:
        response = await one.post(body)
    assert response.status == 400
    [error] = json.loads(response.body)["errors"]
    assert error == {"message": message, "extensions": {"code": "document-not-found"}}


async def test_nothing_but_documents_of_the_folder_is_executed_if_the_config_says_so(
    tmp_path, folder
):
    async with graph(tmp_path, documents="documents", only_documents=True) as one:
        assert await one.codes("{ me { scopes } }") == ["document-not-found"]
        assert await one.codes("no document at all") == ["document-not-found"]
        assert await one.data(QUERY) == {"me": {"subject": "somebody"}}
        by_hash = await answer(one, {"documentId": f"sha256:{DIGEST}"})
        assert by_hash == {"data": {"me": {"subject": "somebody"}}}


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("bad.graphql", b"{ me {", "cannot be executed: Syntax Error: Expected Name, found <EOF>."),
        (
            "bad.graphql",
            b"{ me { salary } }",
            "cannot be executed: Cannot query field 'salary' on type 'Me'.",
        ),
        (
            "bad.graphql",
            b"{" + b"me{subject}" * 11 + b"}",
            "cannot be executed: max_root_fields allows 10 root fields; received at least 11",
        ),
        ("bad.graphql", b"{ \xff }", "is not UTF-8: invalid start byte at 2"),
    ],
)
async def test_a_file_that_is_no_document_keeps_the_broker_from_starting(
    tmp_path, folder, name, content, problem
):
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        async with graph(tmp_path, documents="documents"):
            pass
    assert str(caught.value) == f"plugins.graphql.documents: {folder / name} {problem}"


async def test_every_file_that_is_no_document_is_told_of(tmp_path, folder):
    for name in ("a", "b"):
        (folder / f"{name}.graphql").write_text("{")
    with pytest.raises(ConfigError) as caught:
        async with graph(tmp_path, documents="documents"):
            pass
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        f"{folder}/a.graphql cannot be executed",
        f"{folder}/b.graphql cannot be executed",
    ]


@pytest.mark.parametrize("makes", [False, True])
async def test_a_folder_without_documents_keeps_the_broker_from_starting(tmp_path, makes):
    if makes:
        (tmp_path / "documents").mkdir()
    problem = "holds no *.graphql" if makes else "is no folder; make it, or leave the key out"
    with pytest.raises(ConfigError) as caught:
        async with graph(tmp_path, documents="documents"):
            pass
    assert str(caught.value) == f"plugins.graphql.documents: {tmp_path / 'documents'} {problem}"


def test_whoever_checks_a_config_finds_what_is_wrong_with_its_documents(tmp_path, folder):
    (folder / "bad.graphql").write_text("{")
    table = {"plugins": ["graphql"], "data_dir": str(tmp_path)}
    config = {"broker": table, "plugins": {"graphql": {"documents": "documents"}}}
    with pytest.raises(ConfigError, match="bad.graphql cannot be executed"):
        assemble(make_config(config))


def test_only_documents_needs_a_folder():
    config = {"broker": {"plugins": ["graphql"]}, "plugins": {"graphql": {"only_documents": True}}}
    with pytest.raises(ConfigError, match="only_documents needs documents"):
        assemble(make_config(config))
