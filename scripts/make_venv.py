"""Makes the virtual environment that the Makefile works in. usage: make_venv.py DIRECTORY"""

import subprocess
import sys
import venv

if sys.version_info < (3, 11):  # noqa: UP036 - an older Python runs this, too
    sys.exit(f"Cortex needs Python 3.11 or newer; this is {sys.version.split()[0]}. Try: make PYTHON=python3.12 …")
try:
    venv.create(sys.argv[1], with_pip=True, clear=True)
except (subprocess.CalledProcessError, ImportError):
    sys.exit("this Python cannot make a virtual environment; on Debian and Ubuntu: apt-get install python3-venv")
