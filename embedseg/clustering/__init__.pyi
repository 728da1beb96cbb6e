from ._decode import (
    Clusters as Clusters,
    cluster as cluster,
    cluster_raw as cluster_raw,
    warm_up as warm_up,
)
from ._options import ClusterOptions as ClusterOptions
