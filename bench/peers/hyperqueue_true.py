"""Runs /bin/true as often as the first argument says, on as many cores as the second says; prints the seconds."""

import sys
import time

from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig

tasks, cores = int(sys.argv[1]), int(sys.argv[2])
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=cores))
    client = cluster.client()
    job = Job()
    for _ in range(tasks):
        # Ours keeps no output of who says nothing either.
        job.program(["/bin/true"], stdout=None, stderr=None)
    begun = time.monotonic()
    submitted = client.submit(job)
    client.wait_for_jobs([submitted])
    print("seconds", time.monotonic() - begun)
