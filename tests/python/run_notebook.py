"""Runs a notebook without a browser, against a server.

    run_notebook.py URL [NOTEBOOK] [--keep FILE]

Exits with 1 if a cell fails or if no figure was drawn. The notebook itself stays as it is: its outputs are thrown away,
or written to FILE.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

DEFAULT = Path(__file__).resolve().parents[2] / "notebooks" / "channel_activity.ipynb"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url", help="where tagmill listens, such as http://127.0.0.1:8080")
    parser.add_argument("notebook", nargs="?", type=Path, default=DEFAULT)
    parser.add_argument("--keep", type=Path, help="write the notebook with its outputs there")
    arguments = parser.parse_args()

    # The kernel inherits this environment. A proxy of the machine has no business between two local processes.
    os.environ["TAGMILL_URL"] = arguments.url
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    notebook = nbformat.read(arguments.notebook, as_version=4)
    folder = {"metadata": {"path": str(arguments.notebook.resolve().parent)}}
    try:
        # Sockets in a folder of their own rather than ports, so that two runs never meet.
        with tempfile.TemporaryDirectory() as sockets:
            kernel = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
            NotebookClient(notebook, km=kernel, timeout=300, resources=folder).execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if arguments.keep:
            nbformat.write(notebook, arguments.keep)

    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    for output in outputs:
        if output.output_type == "stream":
            print(output.text, end="")
    if not any("image/png" in output.get("data", {}) for output in outputs):
        print("the notebook drew no figure", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
