"""All that knows Dagster: assets, checks, IO manager, partitions, resources, jobs and sensors."""
