"""WPS 1.0.0 by birdy, which makes a function of a process."""

import sys

from birdy import WPSClient

wps = WPSClient(sys.argv[1] + "/wps")
# birdy takes the CRS of a bounding box for its default value, and cannot send one: None leaves the input out.
response = wps.echo(stringinput="hello", numberinput=2.5, bboxinput=None)
outputs = response.get()
assert outputs.stringinput == "hello"
assert float(outputs.numberinput) == 2.5
