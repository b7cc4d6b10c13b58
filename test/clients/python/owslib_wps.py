"""WPS 1.0.0 by OWSLib: list, describe, execute and wait or poll, result, and what is wrong in words."""

import sys

from owslib.wps import WebProcessingService, monitorExecution

wps = WebProcessingService(sys.argv[1] + "/wps", version="1.0.0")
assert "echo" in [process.identifier for process in wps.processes]

types = {each.identifier: each.dataType for each in wps.describeprocess("echo").dataInputs}
assert types["stringInput"] == "string", types
assert types["bboxInput"] == "BoundingBoxData", types
assert types["mixedInput"] == "ComplexData", types

inputs = [("stringInput", "hello"), ("numberInput", "2.5")]
execution = wps.execute("echo", inputs, output=[("stringInput", False)], mode="sync")
assert execution.isSucceded(), execution.errors
assert [output.data for output in execution.processOutputs] == [["hello"]]

execution = wps.execute("echo", inputs, output=[("stringInput", True)], mode="async")
monitorExecution(execution, sleepSecs=1)
assert execution.isSucceded(), execution.errors
[output] = execution.processOutputs
assert output.retrieveData() == b"hello"

execution = wps.execute("echo", [("numberInput", "many")], mode="sync")
assert "numberInput" in execution.errors[0].text, execution.errors
