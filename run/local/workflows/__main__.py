"""Serves the Executions API: `python -m run.local.workflows PORT REST_PORT WORKFLOWS DATA PREFIX`."""

# The processes of executions import this file too: nothing is imported here that they don't need.
if __name__ == "__main__":
    import sys
    from pathlib import Path

    from run.local.ports import HOST
    from run.local.workflows import rest, server
    from run.local.workflows.executions import Executions
    from run.local.workflows.methods import Methods

    port, rest_port, workflows, data, prefix = sys.argv[1:]
    methods = Methods(Executions(Path(workflows), prefix, Path(data)))
    by_rest = rest.serve(methods, HOST, int(rest_port))
    by_grpc = server.serve(methods, f"{HOST}:{port}")
    by_rest.serve_forever()
