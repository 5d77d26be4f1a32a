"""Serves the Executions API: `python -m run.local.workflows PORT WORKFLOWS DATA PREFIX`."""

# The processes of executions import this file too: nothing is imported here that they don't need.
if __name__ == "__main__":
    import sys
    from pathlib import Path

    from run.local.ports import HOST
    from run.local.workflows.executions import Executions
    from run.local.workflows.server import serve

    port, workflows, data, prefix = sys.argv[1:]
    serve(Executions(Path(workflows), prefix, Path(data)), f"{HOST}:{port}").wait_for_termination()
