"""OGC API - Processes by OWSLib: list, describe, execute in both ways, status, result, dismiss.

It has no methods for jobs: their paths are asked as it asks its own.
"""

import sys

from owslib.ogcapi.processes import Processes

api = Processes(sys.argv[1] + "/ogcapi")
assert "http://www.opengis.net/spec/ogcapi-processes-1/1.0/conf/core" in api.conformance()["conformsTo"]
assert "echo" in [process["id"] for process in api.processes()]
assert api.process("echo")["inputs"]["stringInput"]["schema"] == {"type": "string"}

results = api.execute("echo", {"stringInput": "hello", "arrayInput": ["a", "b"]})
assert results["stringInput"] == "hello" and results["arrayInput"] == ["a", "b"], results

status = api.execute("echo", {"stringInput": "later"}, async_=True)
job = status["jobID"]
assert api.response_headers["Location"].endswith("/jobs/" + job)
assert api._request(path="jobs/" + job)["status"] == "successful"
assert api._request(path=f"jobs/{job}/results?f=json")["stringInput"] == "later"

job = api.execute("echo", {"pause": 60}, async_=True)["jobID"]
assert api._request(method="DELETE", path="jobs/" + job)["status"] == "dismissed"
