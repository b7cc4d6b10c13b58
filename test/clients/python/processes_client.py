"""OGC API - Processes by a client made of the standard's own OpenAPI document, as far as its models go.

They refuse the plain string that the standard allows as a value, in requests and in results: those are sent by hand.
"""

import sys

import ogc_api_processes_client as ogc
import requests

host = sys.argv[1] + "/ogcapi"
client = ogc.ApiClient(ogc.Configuration(host=host))


def submit(inputs):
    url = host + "/processes/echo/execution"
    response = requests.post(url, json={"inputs": inputs}, headers={"Prefer": "respond-async"})
    assert response.status_code == 201, response.text
    return response.json()["jobID"]


assert ogc.CapabilitiesApi(client).get_landing_page().links
assert ogc.ConformanceDeclarationApi(client).get_conformance_classes().conforms_to
assert "echo" in [each.id for each in ogc.ProcessListApi(client).get_processes().processes]
assert "stringInput" in ogc.ProcessDescriptionApi(client).get_process_description("echo").inputs
job = submit({"stringInput": "hello"})
assert ogc.StatusApi(client).get_status(job).status == "successful"
assert job in [each.job_id for each in ogc.JobListApi(client).get_jobs().jobs]
assert ogc.DismissApi(client).dismiss(submit({"pause": 60})).status == "dismissed"
