"""Cloud Workflows on one machine: `workflows-emulator` behind the Executions API, with what it lacks.

`engine` runs a workflow's YAML; `executions` keeps executions on disk and gives each a process; `methods` are
the methods of the API; `server` speaks gRPC as `google-cloud-workflows` does, `rest` REST as `gcloud` does.
"""
