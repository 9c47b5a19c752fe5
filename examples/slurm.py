"""A sweep on Slurm, by dask-jobqueue: forty jobs of one core.

All of them have this package, and see the data and the sweep's folder under the same paths. While this runs,
`gan sweep --scheduler` takes the address that it prints too.
"""

from dask_jobqueue import SLURMCluster

import gan

if __name__ == "__main__":
    job = {
        "cores": 1,
        "processes": 1,
        "memory": "4GB",
        "walltime": "24:00:00",
        "job_script_prologue": ["export GAN_DATA_DIR=/shared/data"],
    }
    with SLURMCluster(**job) as cluster:
        cluster.scale(jobs=40)
        print(cluster.scheduler_address)
        gan.sweep.run(
            "mnist",
            {"k": [1, 2, 5], "updates": ["alternating"], "seed": range(10)},
            "/shared/runs/sweep",
            scheduler=cluster,
        )
