"""Operations that nobody thought of, two thousand of them for each server, which goes on."""

import http.client
import json
from collections import Counter
from itertools import chain

import pytest
from generated import MUTATIONS, QUERIES, QUEUES, for_each_operation
from served import HTTP_SERVERS, Served


@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", HTTP_SERVERS)
def test_whatever_is_asked_a_broker_goes_on(tmp_path, server):
    served = Served(tmp_path, plugins=["graphql"], http_server=server)
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    statuses = Counter()

    def ask(query):
        body = json.dumps({"query": query})
        connection.request("POST", "/graphql", body, {"content-type": "application/json"})
        response = connection.getresponse()
        result = json.loads(response.read())
        statuses[response.status] += 1
        assert response.status in (200, 400), result
        codes = {error["extensions"]["code"] for error in result.get("errors", ())}
        assert "internal" not in codes, result

    for queue in QUEUES:
        ask('mutation { createQueue(name: "%s") { id } }' % queue)
    for field in chain(QUERIES, MUTATIONS):
        for_each_operation(field)(ask)()
    connection.close()
    assert statuses[200] > 10 * statuses[400]
    assert served.process.poll() is None
    assert served.end() == 0
    assert "Traceback" not in served.log()
