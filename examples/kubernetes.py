"""A sweep on Kubernetes, by dask-kubernetes: forty workers of an image that has this package.

One volume holds the data and the sweep's folder; all workers, and whatever runs this, have it under /shared.
"""

from dask_kubernetes.operator import KubeCluster, make_cluster_spec

import gan

if __name__ == "__main__":
    image, data = "registry.example/gan", {"GAN_DATA_DIR": "/shared/data"}
    spec = make_cluster_spec("gan", image=image, n_workers=40, env=data)
    worker = spec["spec"]["worker"]["spec"]
    worker["volumes"] = [{"name": "shared", "persistentVolumeClaim": {"claimName": "shared"}}]
    worker["containers"][0]["volumeMounts"] = [{"name": "shared", "mountPath": "/shared"}]
    with KubeCluster(custom_cluster_spec=spec) as cluster:
        gan.sweep.run("mnist", {"seed": range(10)}, "/shared/runs/sweep", scheduler=cluster)
