"""The documents: valid, true and whole."""

import json
import re
from importlib.util import find_spec
from urllib.parse import urlencode, urljoin

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from broker import limits, translation

HAS_GRAPHQL = find_spec("broker_graphql") is not None
PLUGINS = ["memory", "auth_jwt", "sse", "metrics", *(["graphql"] if HAS_GRAPHQL else [])]


@pytest.fixture
def everything(serve):
    """A broker with all plugins that bring routes."""
    tables = {"metrics": {"token": "t" * 32, "listen": None}}
    return serve(plugins=PLUGINS, tables=tables)


def operations(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_every_route_of_every_shipped_plugin_is_described(everything):
    document = everything("GET", "/openapi.json").json

    assert {name for name, _ in operations(document)} == {
        f"{route.method} {route.path}" for route in everything.broker.routes
    }
    for name, operation in operations(document):
        assert re.fullmatch("[A-Z][^`\n]+[^`.\n]", operation["summary"]), (
            name
        )  # which is no Markdown


def test_the_document_is_valid_openapi(everything):
    answer = everything("GET", "/v1/openapi.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(answer.json).validate()


def test_each_operation_has_a_name_of_its_own(everything):
    names = [one["operationId"] for _, one in operations(everything("GET", "/openapi.json").json)]

    assert sorted(set(names)) == sorted(names)
    assert all(re.fullmatch("[a-z]+(_[a-z]+)*", name) for name in names)


def test_every_part_of_a_path_has_an_example(everything):
    for name, operation in operations(everything("GET", "/openapi.json").json):
        path = name.partition(" ")[2]
        named = [one for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert {one["name"] for one in named} == set(re.findall(r"{(\w+)}", path))
        for one in named:
            assert jsonschema.validate(one["example"], one["schema"]) is None


def resolver(document):
    """What checks a value against a schema of the document."""

    def check(schema, value):
        validator = jsonschema.Draft202012Validator(
            {**schema, "components": document["components"]}
        )
        validator.validate(value)

    return check


def bodies(document):
    """Every body that is told of: whose, its schema, its examples."""
    responses = document["components"]["responses"]
    for name, operation in operations(document):
        told = [("request", operation.get("requestBody", {}))]
        told += [
            (status, responses[one["$ref"].rpartition("/")[2]] if "$ref" in one else one)
            for status, one in operation["responses"].items()
        ]
        for place, holder in told:
            for media_type, content in holder.get("content", {}).items():
                examples = [one["value"] for one in content.get("examples", {}).values()]
                if "example" in content:
                    examples.append(content["example"])
                yield f"{name} {place} {media_type}", content["schema"], examples


def test_every_example_is_as_its_schema_says(everything):
    document = everything("GET", "/openapi.json").json
    check = resolver(document)

    for name, schema, examples in bodies(document):
        assert examples, f"{name} has no example"
        for example in examples:
            check(schema, example)


RECEIPT = re.compile("Gko0[A-Za-z0-9_-]{30,}")
"""The receipt of all examples."""


def test_every_example_of_a_request_is_served(in_use):
    """As it is, but for the lease that it names; /login, whose example is nobody's, is elsewhere."""
    document = in_use("GET", "/openapi.json").json
    in_use("POST", "/queues", json={"name": "failures"})
    for name, operation in operations(document):
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if "example" not in content:
                continue
            in_use.publish("again")
            [lease] = in_use.lease()
            example = content["example"]
            text = example if media_type == "*/*" else json.dumps(example)
            body = RECEIPT.sub(lease["receipt"], text)
            content_type = "text/plain" if media_type == "*/*" else media_type
            method, path = name.format(queue="q", id=lease["id"]).split()
            answer = in_use(method, path, body=body.encode(), content_type=content_type)
            assert answer.status in (200, 201), (name, answer.body)
            in_use("POST", "/queues/q/resume")


def test_limits_are_those_that_are_checked(everything):
    schemas = everything("GET", "/openapi.json").json["components"]["schemas"]

    message = schemas["OutgoingMessage"]["properties"]
    assert message["priority"]["maximum"] == limits.MAX_PRIORITY
    assert message["headers"]["maxProperties"] == limits.MAX_HEADERS
    assert schemas["Batch"]["properties"]["messages"]["maxItems"] == limits.MAX_BATCH_MESSAGES
    assert schemas["NewQueue"]["properties"]["name"]["pattern"] == (
        limits.QUEUE_NAME_PATTERN.replace(r"\Z", "$")
    )


def test_who_may_is_told_by_scopes_and_how_by_the_authenticators(everything):
    document = everything("GET", "/openapi.json").json
    told = {name: one["security"] for name, one in operations(document)}

    assert document["components"]["securitySchemes"]["bearer"]["bearerFormat"] == "JWT"
    assert told["GET /healthz"] == []
    assert told["GET /metrics"] == [{"metrics": []}]
    assert told["GET /queues"] == [{"bearer": []}, {"password": []}]
    assert told["PATCH /queues/{queue}"] == [
        {way: ["manage:{queue}"]} for way in ("bearer", "password")
    ]
    assert told["GET /stats"] == [{way: ["admin"]} for way in ("bearer", "password")]
    assert told["GET /events"] == [
        {way: ["read:<queue>"]} for way in ("bearer", "password", "ticket", "session")
    ]


def test_a_user_logs_in_where_the_document_says(everything):
    """By OAuth2's password grant, as every tool for OpenAPI knows it."""
    schemes = everything("GET", "/v1/openapi.json").json["components"]["securitySchemes"]
    [(grant, flow)] = schemes["password"]["flows"].items()
    form = {"grant_type": grant, "username": "nobody", "password": "wrong", "scope": "all"}
    answer = everything(
        "POST",
        urljoin("/v1/openapi.json", flow["tokenUrl"]),
        body=urlencode(form).encode(),
        content_type="application/x-www-form-urlencoded",
        headers={"authorization": "Basic Og=="},  # as Swagger UI sends it with every login
    )

    assert (answer.status, answer.json["code"]) == (401, "unauthenticated")
    assert answer.json["instance"] == "/v1/login"


def test_where_everybody_may_ask_no_credentials_are_demanded(call):
    document = call("GET", "/openapi.json").json

    assert dict(operations(document))["GET /queues"]["security"] == [{}]
    assert document["components"]["securitySchemes"] == {}


def test_errors_are_told_with_their_codes_and_headers(everything):
    document = everything("GET", "/openapi.json").json
    publish = dict(operations(document))["POST /queues/{queue}/messages"]["responses"]

    assert set(publish) == {
        *("201", "400", "401", "403", "404", "408", "413", "422", "429", "500", "503", "507")
    }
    responses = document["components"]["responses"]
    full = responses[publish["429"]["$ref"].rpartition("/")[2]]
    assert "Retry-After" in full["headers"]
    assert set(full["content"]["application/problem+json"]["examples"]) == {
        "queue-full",
        "rate-limited",
    }
    unknown = responses[publish["401"]["$ref"].rpartition("/")[2]]
    assert "WWW-Authenticate" in unknown["headers"]


def test_every_parameter_and_every_field_says_what_it_means(everything):
    document = everything("GET", "/openapi.json").json
    parameters = {
        f"{name} {one['name']}": one.get("description")
        for name, operation in operations(document)
        for one in operation.get("parameters", ())
    }
    fields = {
        f"{name} {field}": one.get("description")
        for name, schema in document["components"]["schemas"].items()
        for field, one in schema.get("properties", {}).items()
    }

    assert len(parameters) > 50
    assert len(fields) > 200
    assert [name for name, text in {**parameters, **fields}.items() if not text] == []


OWN = """
    from broker import Answer, Description, Response, Route, Transport, hookimpl

    async def told(request):
        \"\"\"Do something of this plugin's.

        At length.
        \"\"\"
        return Response()

    class Own(Transport):
        def routes(self):
            about = Description(name="do_own", tag="Own", needs=None, answers=(Answer(int, 7),))
            return [Route("GET", "/own", told, described=about), Route("GET", "/secret", told)]

    @hookimpl
    def provide_transport(plugin):
        return Own()
"""


def test_a_route_of_another_plugin_is_told_if_it_is_described(serve, install):
    install("own", OWN)

    paths = serve(plugins=["memory", "own"], anonymous=True)("GET", "/openapi.json").json["paths"]

    assert "/secret" not in paths
    operation = paths["/own"]["get"]
    assert operation["summary"] == "Do something of this plugin's"
    assert operation["description"] == "Do something of this plugin's.\n\nAt length."
    assert operation["responses"]["200"]["content"] == {
        "application/json": {"schema": {"type": "integer"}, "example": 7}
    }


FOREIGN = """
    import msgspec
    from broker import Answer, Description, Response, Route, Transport, hookimpl

    class Nested:
        class Path(msgspec.Struct):
            order: int
            \"\"\"Which order
            is meant.\"\"\"

    async def told(request):
        return Response()

    class Own(Transport):
        def routes(self):
            about = Description(
                name="get_order",
                tag="Own",
                needs=None,
                params=Nested.Path,
                answers=(Answer(headers=("X-Total", "etag", "content-LOCATION")),),
            )
            return [Route("GET", "/orders/{order}/{part}", told, described=about)]

    @hookimpl
    def provide_transport(plugin):
        return Own()
"""


def test_whatever_another_plugin_says_the_document_is_valid(serve, install):
    """Headers that nobody here knows, and a part of the path that it says nothing of."""
    install("foreign", FOREIGN)
    document = serve(plugins=["memory", "foreign"], anonymous=True)("GET", "/openapi.json").json

    OpenAPIV31SpecValidator(document).validate()
    operation = document["paths"]["/orders/{order}/{part}"]["get"]
    assert operation["parameters"] == [
        {
            "name": "order",
            "in": "path",
            "required": True,
            "description": "Which order is meant.",
            "schema": {"type": "integer"},
        },
        {"name": "part", "in": "path", "required": True, "schema": {"type": "string"}},
    ]
    assert operation["responses"]["200"]["headers"] == {
        "X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"},
        "X-Total": {"schema": {"type": "string"}},
        "ETag": {"$ref": "#/components/headers/ETag"},
        "content-LOCATION": {"schema": {"type": "string"}},
    }


GONE = """
    from broker import BrokerError, Description, Response, Route, Transport, hookimpl

    class Gone(BrokerError):
        \"\"\"The NAME is gone.\"\"\"

        code, title, status = "NAME-gone", "Gone", 410

    async def told(request):
        return Response()

    class Own(Transport):
        def routes(self):
            about = Description(name="get_NAME", tag="Own", needs=None, errors=(Gone,))
            return [Route("GET", "/NAME", told, described=about)]

    @hookimpl
    def provide_transport(plugin):
        return Own()
"""


def test_errors_of_two_plugins_that_are_called_alike_are_told_apart(serve, install):
    names = ("cup", "pot")
    for name in names:
        install(name, GONE.replace("NAME", name))
    document = serve(plugins=["memory", *names], anonymous=True)("GET", "/openapi.json").json

    for name in names:
        reference = document["paths"][f"/{name}"]["get"]["responses"]["410"]["$ref"]
        told = document["components"]["responses"][reference.rpartition("/")[2]]
        assert told["description"] == f"- `{name}-gone`: The {name} is gone."


def test_the_documents_can_be_turned_off(serve):
    served = serve(anonymous=True, disable=["openapi"])

    for path in ("/openapi.json", "/asyncapi.json", "/docs", "/redoc", "/docs/page.js"):
        assert served("GET", path).status == 404


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json", "/docs", "/docs/page.css"])
def test_who_has_a_document_is_not_sent_it_again(call, path):
    first = call("GET", path)
    again = call("GET", path, headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})

    assert (first.status, again.status, again.body) == (200, 304, b"")
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-cache"
    assert again.headers["etag"] == first.headers["etag"]
    assert call("GET", path, headers={"if-none-match": '"other"'}).body == first.body


@pytest.mark.parametrize(
    "file",
    ["..", "%2e%2e%2fpages.py", "..%5c..%5csecret", "scalar.js", "__init__.py", "page.js%00", ""],
)
def test_nothing_but_the_files_of_the_page_is_served(call, file):
    assert call("GET", f"/docs/{file}").status == 404


def test_the_pages_load_nothing_from_elsewhere_and_run_nothing_inline(call):
    for path in ("/docs", "/redoc"):
        page = call("GET", path)
        policy = page.headers["content-security-policy"]

        assert policy.startswith("default-src 'none'; script-src 'self'; ")
        assert "unsafe" not in policy
        assert "http" not in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert not re.search(rb"<script>|<style|style=| on\w+=|https?:", page.body)


def test_without_the_package_the_pages_say_what_to_install(serve, monkeypatch):
    monkeypatch.setattr("broker.builtin.openapi.assets.find_spec", lambda name: None)
    call = serve(anonymous=True)

    for path in ("/docs", "/redoc", "/docs/page.js"):
        answer = call("GET", path)
        assert (answer.status, answer.json["code"]) == (404, "not-installed")
        assert "pip install 'replika-broker[docs]'" in answer.json["detail"]


def test_what_was_asked_for_once_takes_no_thread_and_no_search_again(call, monkeypatch):
    paths = ("/openapi.json", "/asyncapi.json", "/docs", "/docs/page.css", "/redoc/page.js")
    first = [call("GET", path).body for path in paths]
    monkeypatch.setattr("asyncio.to_thread", pytest.fail)
    monkeypatch.setattr("broker.builtin.openapi.assets.find_spec", pytest.fail)

    assert [call("GET", path).body for path in paths] == first


def test_strangers_who_read_nothing_take_no_memory_from_others(serve, monkeypatch):
    monkeypatch.setattr(translation, "MAX_UNSENT_BYTES", 0)
    call = serve(plugins=PLUGINS[:3])

    for path in ("/openapi.json", "/docs/swagger-ui.js", "/redoc/redoc.js"):
        answer = call("GET", path)
        assert answer.status == 200, path
        assert len(answer.body) > translation.MAX_SMALL_ANSWER_BYTES, path
